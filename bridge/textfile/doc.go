// Package textfile writes metrics to a file for node_exporter's textfile
// collector, for programs that end before anybody scrapes them.
//
//	err := textfile.Write(ctx, "/var/lib/node_exporter/backup.prom", registry.Default(), textfile.Options{})
//
// A reader sees the old file or the new one, never half of one, and a failure
// leaves the old one as it was: what is gathered is written to a temporary file
// beside it, brought to the disk and renamed. A process killed under way may leave
// the temporary file, whose name node_exporter does not read.
//
// The format is text 0.0.4, which is all that node_exporter reads.
package textfile
