// Package untimed encodes families for receivers that accept no timestamps. Because of a
// single timestamp, a Pushgateway rejects the whole push and node_exporter skips the whole
// file.
package untimed
