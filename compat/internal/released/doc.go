// Package released has a test, and nothing else: what users find on the day of a release. It
// tags a copy of the checkout as docs/releasing.md says, and uses it from modules of their own,
// without replace.
package released
