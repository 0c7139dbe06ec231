// Package options defines what the values of an option mean, in every options struct and
// every flag of the project.
//
//	value         in a struct                     in a flag
//	0             the default, which the field's  zero, where zero makes sense
//	              comment states                  (--keep-dead 0 keeps none);
//	                                              an error elsewhere
//	-1, NoLimit   no limit, where a field can     the same
//	              have none
//	-2, KeepNone  zero, in a field whose 0 is     not needed
//	              the default
//	other < 0     an error that names the field   an error that names the flag
//
// No invalid value is replaced silently. [Number] checks a field and sets its default.
// Package optiontest tests a whole struct, and internal/policy finds structs that it does
// not test.
package options
