package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/exposition"
)

func newDump() *cobra.Command {
	var dir, format, escaping string
	var created, lenient, asJSON bool
	var trust trustFlag
	var selected selection
	cmd := &cobra.Command{
		Use:   "dump [NAME...]",
		Short: "print the merged metrics once",
		Long: `Print the merged metrics of a directory: all of them, or those that are named or
that match. A name is that of a metric, or of one of its samples, such as
x_bucket.

With --by-process, each process's own series are shown, with its ID as another
label. The process "archive" has what the compacted dead processes have counted.
This costs as much as the first scrape of a directory.

Series that mpctl serve --ttl hides are shown: one look cannot tell since when
they are idle.

Values that the format cannot represent, such as a counter that is NaN in
OpenMetrics, are left out and counted on stderr. The exit code is still 0. It is
1 if there is no metric of the names.`,
		Example: `  mpctl dump --dir /dev/shm/app | promtool check metrics
  mpctl dump --dir /dev/shm/app --format openmetrics --created
  mpctl dump http_requests --by-process --dir /dev/shm/app
  mpctl dump --match 'http_.*_total' --json --dir /dev/shm/app`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f, err := contentTypeOf(format, escaping)
			if err != nil {
				return err
			}
			a, err := openView(dir, aggregate.Options{TrustUIDs: trust, Logger: newLog(cmd)})
			if err != nil {
				return err
			}
			defer a.Close()
			families, err := selected.gather(cmd.Context(), a)
			// Print what there is; the error decides the exit code.
			var printErr error
			if asJSON {
				printErr = printJSON(cmd.OutOrStdout(), dumped(families))
			} else {
				printErr = exposition.Encode(cmd.OutOrStdout(), families, exposition.Options{ContentType: f, Created: created, Lenient: lenient})
			}
			if err := errors.Join(err, noted(cmd, printErr)); err != nil {
				return err
			}
			return selected.empty(len(families))
		},
	}
	addDirFlag(cmd, &dir)
	trust.add(cmd)
	selected.addFlags(cmd)
	cmd.Flags().StringVar(&format, "format", "text", "output format: text, openmetrics, openmetrics2 or protobuf")
	cmd.Flags().StringVar(&escaping, "escaping", "underscores", "how to write UTF-8 names: underscores, dots, values or allow-utf-8")
	cmd.Flags().BoolVar(&created, "created", false, "print when each counter, histogram and summary was created")
	cmd.Flags().BoolVar(&lenient, "lenient", false, "also print values that OpenMetrics forbids, such as a negative sum")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the metrics as JSON, with names as they are")
	cmd.MarkFlagsMutuallyExclusive("json", "format")
	obeyWords(cmd, "format", "text", "openmetrics", "openmetrics2", "protobuf")
	obeyWords(cmd, "escaping", "underscores", "dots", "values", "allow-utf-8")
	return cmd
}

// contentTypeOf returns the content type of the format of that name, in a version that can represent the
// names that the escaping scheme leaves.
func contentTypeOf(name, escaping string) (exposition.ContentType, error) {
	var f exposition.ContentType
	if err := f.Escaping.UnmarshalText([]byte(escaping)); err != nil {
		return f, fmt.Errorf("%w: there are underscores, dots, values and allow-utf-8", err)
	}
	switch name {
	case "text":
		if f.Escaping == exposition.AllowUTF8 {
			f.Format = exposition.Text100
		}
	case "openmetrics":
		f.Format = exposition.OpenMetrics100
	case "openmetrics2":
		f.Format = exposition.OpenMetrics200
	case "protobuf":
		f.Format = exposition.Protobuf
	default:
		return f, fmt.Errorf("unknown format %q: there are text, openmetrics, openmetrics2 and protobuf", name)
	}
	return f, nil
}
