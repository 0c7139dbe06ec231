// Package randfamily makes families for the tests of encoders and parsers:
// valid, and otherwise as odd as possible.
//
//	families := randfamily.New(seed).Families(false)
package randfamily
