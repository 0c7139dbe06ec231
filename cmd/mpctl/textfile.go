package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/multiprom/multiprom/bridge/textfile"
	"github.com/multiprom/multiprom/exposition"
)

func newTextfile() *cobra.Command {
	var e exit
	var opts textfile.Options
	var escaping string
	cmd := &cobra.Command{
		Use:   "textfile FILE.prom",
		Short: "write the merged metrics to a file for node_exporter",
		Long: `Write the merged metrics of a directory to a file for node_exporter's textfile
collector. The file is replaced atomically. If writing fails, the old file
stays.

If one node_exporter reads the files of several applications, give each a
--label. All of them have multiprom_files and similar metrics, and of two equal
series node_exporter shows only one.`,
		Example: `  mpctl textfile /var/lib/node_exporter/app.prom --dir /dev/shm/app
  mpctl textfile /var/lib/node_exporter/app.prom --dir /dev/shm/app \
    --label app=web --every 15s`,
		Args: needs("FILE.prom"),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if opts.Escaping, err = parseEscaping(escaping); err != nil {
				return err
			}
			a, err := e.open(cmd)
			if err != nil {
				return err
			}
			defer a.Close()
			return e.run(cmd, func(ctx context.Context) error { return textfile.Write(ctx, args[0], a, opts) })
		},
	}
	e.addFlags(cmd)
	addEscapingFlag(cmd, &escaping)
	cmd.Flags().StringToStringVar(&opts.Labels, "label", nil, "label to add to every series that has no label of that name, `NAME=VALUE`; may be repeated")
	obey(cmd, notEmpty, "label")
	cmd.Flags().StringVar(&opts.TempDir, "tmpdir", "", "directory for the temporary file, on the same filesystem (default FILE's directory)")
	obey(cmd, existing, "tmpdir")
	cmd.Flags().BoolVar(&opts.Created, "created", false, "write when each counter, histogram and summary was created")
	return cmd
}

func addEscapingFlag(cmd *cobra.Command, escaping *string) {
	cmd.Flags().StringVar(escaping, "escaping", "underscores", "how to write UTF-8 names: underscores, dots or values")
	obeyWords(cmd, "escaping", "underscores", "dots", "values")
}

// parseEscaping is for text 0.0.4, which has no UTF-8 names.
func parseEscaping(name string) (exposition.Escaping, error) {
	var e exposition.Escaping
	if err := e.UnmarshalText([]byte(name)); err != nil || e == exposition.AllowUTF8 {
		return 0, fmt.Errorf("%q is no escaping scheme: there are underscores, dots and values", name)
	}
	return e, nil
}
