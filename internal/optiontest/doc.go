// Package optiontest tries critical values on the fields of an options struct. A new
// field without a decision about these values fails a test.
package optiontest
