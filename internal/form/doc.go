// Package form has how numbers, names and label values are written: in the text formats,
// and where a person reads them.
//
//	line = form.AppendFloat(append(line, ' '), value)
package form
