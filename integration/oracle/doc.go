// Package oracle has no code. Its test parses the output of package exposition with
// Prometheus's own parsers, which a scrape uses, and checks that they find every sample.
package oracle
