// Package policy holds the tests of what the repository promises of itself:
// which package may import which, and that every package tells its story. It
// has no code.
package policy
