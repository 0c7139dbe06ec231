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
With --every, what could not be sent is kept, up to 4 MiB, until Graphite is back.

Over UDP nobody says what was lost. So packets are sent at a pace that a receiver
can follow, about 300 kB a second, and what would take longer than --timeout is
refused. Prefer TCP.`,
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
	cmd.Flags().StringVar(&opts.Prefix, "prefix", "", "stands before every name, with a dot between")
	cmd.Flags().BoolVar(&opts.Tags, "tags", false, "send labels as tags (name;label=value)")
	cmd.Flags().StringVar(&opts.Network, "network", "tcp", "tcp, or udp at 300 kB a second, where losses go unseen")
	cmd.Flags().DurationVar(&opts.Timeout, "timeout", 30*time.Second, "for connecting and sending")
	obeyWords(cmd, "network", "tcp", "udp")
	obey(cmd, longerThanZero(""), "timeout")
	return cmd
}
