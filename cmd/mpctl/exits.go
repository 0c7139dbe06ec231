package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/multiprom/multiprom/aggregate"
)

// exit is what push, textfile and graphite have in common: the merged directory,
// sent somewhere once or every so often.
type exit struct {
	dir   string
	trust trustFlag
	every time.Duration
}

func (e *exit) addFlags(cmd *cobra.Command) {
	addDirFlag(cmd, &e.dir)
	e.trust.add(cmd)
	cmd.Flags().DurationVar(&e.every, "every", 0, "do it again after this time, until SIGTERM or SIGINT; 0 does it once")
}

// open returns the merged view of the directory.
func (e *exit) open() (*aggregate.Aggregator, error) {
	d, err := existingDir(e.dir)
	if err != nil {
		return nil, err
	}
	return aggregate.Open(d, aggregate.Options{TrustUIDs: e.trust})
}

// run calls send once, and returns its error; or every so often, when errors go to
// the log, and once more when a signal ends it, so that nothing is missing.
func (e *exit) run(cmd *cobra.Command, send func(context.Context) error) error {
	ctx := cmd.Context()
	if e.every <= 0 {
		return send(ctx)
	}
	survivePipe()
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	log := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))
	tick := time.NewTicker(e.every)
	defer tick.Stop()
	for {
		if err := send(ctx); err != nil && ctx.Err() == nil {
			log.Warn(err.Error())
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
			defer cancel()
			return send(ctx)
		}
	}
}
