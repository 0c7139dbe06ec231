// Package model explores the protocols of series that come and go, exhaustively: all
// interleavings of the writer, readers, janitors and a compactor, with a stop after any step.
// It has only tests. docs/lifecycle.md, "The model", says what they cover.
//
// A model is a small program whose whole state is one comparable value. It lists the steps
// that may happen next in a state; one step is one store, one load or a tick of the clock.
// The checker (check_test.go) visits every state that steps can lead to, the nearest first,
// and prints the steps that lead to the first state that breaks an invariant:
//
//	writer: remove 2: state 2
//	clock: a tick
//	reader: 1: loads gen, which it knows
//	…
//	broken: a word of series 4 was taken for series 1
//
// There are two models. Reuse (reuse_*_test.go) is one file: a writer that removes series,
// reclaims their records and words and adds others, beside a reader. TTL (ttl_*_test.go) is one
// series that several processes have: it expires, comes back, is deleted and is compacted. Package
// lifetime has its rule in the form that janitors and readers use; a test compares the two.
//
// A model that finds nothing may be blind. So each has a table of faults: a step left out, two
// steps swapped, a check dropped. The checker must find a counterexample of each, and every
// step that a model has must have happened.
//
// A test explores the states of small systems, in seconds. MULTIPROM_MODEL_SIZE=2 explores larger
// ones, in minutes. There is only one goroutine, so the race detector's run leaves the tests out.
package model
