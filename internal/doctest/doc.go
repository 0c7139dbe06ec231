// Package doctest turns snippets in documentation into programs, so that tests run what
// a reader would copy.
package doctest
