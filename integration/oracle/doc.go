// Package oracle has no code. Its test gives what package exposition writes to
// the parsers of Prometheus itself, those that a scrape goes through, and
// wants them to find every sample.
package oracle
