// Package optiontest tries the fields of an options struct with the values that go
// wrong, so that a new field without a decision about them fails a test.
package optiontest
