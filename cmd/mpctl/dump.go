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
	var created, lenient bool
	var trust trustFlag
	cmd := &cobra.Command{
		Use:   "dump",
		Short: "print the merged metrics once",
		Long: `Print the merged metrics of a directory. What the format has no place for, such as
a counter that is NaN in OpenMetrics, is left out and counted on stderr; the exit
code is 0 all the same.`,
		Example: "  mpctl dump --dir /dev/shm/app | promtool check metrics\n  mpctl dump --dir /dev/shm/app --format openmetrics --created",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f, err := dumpFormat(format, escaping)
			if err != nil {
				return err
			}
			d, err := existingDir(dir)
			if err != nil {
				return err
			}
			a, err := aggregate.Open(d, aggregate.Options{TrustUIDs: trust, Logger: newLog(cmd)})
			if err != nil {
				return err
			}
			defer a.Close()
			families, err := a.Gather(cmd.Context())
			// What could be had is printed, and the error makes the exit code.
			encodeErr := exposition.Encode(cmd.OutOrStdout(), families, exposition.Options{Format: f, Created: created, Lenient: lenient})
			return errors.Join(err, noted(cmd, encodeErr))
		},
	}
	addDirFlag(cmd, &dir)
	trust.add(cmd)
	cmd.Flags().StringVar(&format, "format", "text", "format of the output: text, openmetrics or protobuf")
	cmd.Flags().StringVar(&escaping, "escaping", "underscores", "what becomes of names that are not legacy ones: underscores, dots, values or allow-utf-8")
	cmd.Flags().BoolVar(&created, "created", false, "print the time when each counter, histogram and summary began")
	cmd.Flags().BoolVar(&lenient, "lenient", false, "print values that OpenMetrics forbids too, such as a negative sum")
	obeyWords(cmd, "format", "text", "openmetrics", "protobuf")
	obeyWords(cmd, "escaping", "underscores", "dots", "values", "allow-utf-8")
	return cmd
}

// dumpFormat returns the format of that name. Of two versions it is the one
// that can hold what the escaping scheme leaves.
func dumpFormat(name, escaping string) (exposition.Format, error) {
	var f exposition.Format
	scheme, err := exposition.ParseEscaping(escaping)
	if err != nil {
		return f, fmt.Errorf("%w: there are underscores, dots, values and allow-utf-8", err)
	}
	f.Escaping = scheme
	switch name {
	case "text":
		if scheme == exposition.AllowUTF8 {
			f.Version = exposition.Text100
		}
	case "openmetrics":
		f.Version = exposition.OpenMetrics100
	case "protobuf":
		f.Version = exposition.Protobuf
	default:
		return f, fmt.Errorf("unknown format %q: there are text, openmetrics and protobuf", name)
	}
	return f, nil
}
