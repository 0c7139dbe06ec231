// Package policy tests the rules of this repository: which package may import which, and
// that every package is documented. It has no code.
package policy
