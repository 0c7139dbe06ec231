package main

import "github.com/spf13/cobra"

func newRemoteWrite() *cobra.Command {
	var e exit
	var f deliveryFlags
	cmd := &cobra.Command{
		Use:   "remote-write URL",
		Short: "send the merged metrics to Prometheus, Mimir or VictoriaMetrics",
		Long: `Send the merged metrics of a directory by Prometheus' remote write, version 2.0,
or 1.0 if the receiver does not take that. With --every, series that are gone
get a staleness marker, and at the end all do.

What could not be sent is replaced by the newest values, or kept in --queue.
The label job is the name of the directory, and instance the name of the host.`,
		Example: `  mpctl remote-write http://prom.example:9090/api/v1/write --dir /dev/shm/app
  mpctl remote-write https://mimir.example/api/v1/push --every 15s \
    --label job=shop --header X-Scope-OrgID=team --queue /var/lib/app/queue`,
		Args: needs("URL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			f.opts.Interval = e.every
			return send(cmd, &e, func(dir string) (sender, error) { return f.newRemoteWrite(cmd, args[0], dir) })
		},
	}
	e.addFlags(cmd)
	f.add(cmd, "")
	f.addProtocol(cmd)
	return cmd
}
