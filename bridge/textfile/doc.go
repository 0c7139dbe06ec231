// Package textfile writes metrics to a file for node_exporter's textfile collector, for
// programs that end before they are scraped.
//
//	err := textfile.Write(ctx, "/var/lib/node_exporter/backup.prom", registry.Default(), textfile.Options{})
//
// A reader sees the old file or the new one, never half of one. If writing fails, the
// old file stays. The metrics are written to a temporary file in the same directory,
// synced to disk and renamed. A process killed in between may leave the temporary file.
// node_exporter does not read it because of its name.
//
// The format is text 0.0.4, the only one that node_exporter reads.
package textfile
