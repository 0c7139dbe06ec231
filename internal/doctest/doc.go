// Package doctest makes programs of the snippets in documentation, so that tests can
// run what a reader would copy.
package doctest
