// Package randfamily generates families for tests of encoders and parsers. They are valid
// but otherwise as odd as possible.
//
//	families := randfamily.New(seed).Families(false)
package randfamily
