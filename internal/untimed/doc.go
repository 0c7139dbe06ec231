// Package untimed encodes families for receivers that want no timestamps. A
// Pushgateway refuses a whole push for one of them, and node_exporter skips the
// whole file.
package untimed
