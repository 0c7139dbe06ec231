package main

import (
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/multiprom/multiprom/bridge/graphite"
)

func newGraphite() *cobra.Command {
	var e exit
	var opts graphite.Options
	cmd := &cobra.Command{
		Use:   "graphite ADDRESS",
		Short: "send the merged metrics to Graphite",
		Long: `Send the merged metrics of a directory to Graphite in its plaintext protocol.
With --every, up to 4 MiB that could not be sent are kept until Graphite is
back.

Prefer TCP. UDP reports no losses, so graphite sends at about 300 kB a second,
which a receiver can follow, and refuses to send what would take longer than
--timeout.`,
		Example: `  mpctl graphite graphite.example:2003 --dir /dev/shm/app --prefix app
  mpctl graphite graphite.example --dir /dev/shm/app --tags --every 1m`,
		Args: needs("ADDRESS"),
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.Address, opts.Interval = args[0], e.every
			opts.Logger = newLog(cmd)
			b, err := graphite.New(opts)
			if err != nil {
				return err
			}
			a, err := e.open(cmd)
			if err != nil {
				return err
			}
			defer a.Close()
			if e.every <= 0 {
				return noted(cmd, b.Push(cmd.Context(), a))
			}
			survivePipe()
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return b.Run(ctx, a)
		},
	}
	e.addFlags(cmd)
	cmd.Flags().StringVar(&opts.Prefix, "prefix", "", "prefix of every name, followed by a dot")
	cmd.Flags().BoolVar(&opts.Tags, "tags", false, "send labels as tags (name;label=value)")
	cmd.Flags().StringVar(&opts.Network, "network", "tcp", "tcp, or udp (300 kB a second, losses are not noticed)")
	cmd.Flags().DurationVar(&opts.Timeout, "timeout", 30*time.Second, "time limit for connecting and sending")
	obeyWords(cmd, "network", "tcp", "udp")
	obey(cmd, longerThanZero(""), "timeout")
	return cmd
}
