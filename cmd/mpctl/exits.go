package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/exposition"
)

// exit is what push, textfile and graphite have in common: they send the merged
// metrics of a directory, once or periodically.
type exit struct {
	dir   string
	trust trustFlag
	ttl   ttlFlag
	every time.Duration
}

func (e *exit) addFlags(cmd *cobra.Command) {
	addDirFlag(cmd, &e.dir)
	e.trust.add(cmd)
	e.ttl.add(cmd)
	cmd.Flags().DurationVar(&e.every, "every", 0, "repeat at this interval until SIGTERM or SIGINT (default once)")
	obey(cmd, longerThanZero("; leave it out to do it once"), "every")
}

// open returns the merged view of the directory. It logs to stderr what is left out
// because schemas conflict.
func (e *exit) open(cmd *cobra.Command) (*aggregate.Aggregator, error) {
	return openView(e.dir, aggregate.Options{TrustUIDs: e.trust, TTL: e.ttl, Logger: newLog(cmd)})
}

func newLog(cmd *cobra.Command) *slog.Logger {
	return slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))
}

// run calls send once and returns its error. With --every it calls send periodically,
// logs errors, and calls it once more after a signal, so that nothing is missing. An
// omission is not an error; it is logged once.
func (e *exit) run(cmd *cobra.Command, send func(context.Context) error) error {
	ctx := cmd.Context()
	if e.every <= 0 {
		return noted(cmd, send(ctx))
	}
	survivePipe()
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	log := newLog(cmd)
	tick := time.NewTicker(e.every)
	defer tick.Stop()
	said := ""
	for {
		if err := send(ctx); err != nil && ctx.Err() == nil && err.Error() != said {
			if said = ""; isOmission(err) {
				said = err.Error()
			}
			log.Warn(err.Error())
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
			defer cancel()
			if err := send(ctx); !isOmission(err) {
				return err
			}
			return nil
		}
	}
}

// isOmission reports whether err only says that something was left out.
func isOmission(err error) bool {
	omission := (*exposition.OmissionError)(nil)
	return errors.As(err, &omission)
}

// noted prints an omission as a note, since everything else was printed or sent. It
// returns any other error.
func noted(cmd *cobra.Command, err error) error {
	if !isOmission(err) {
		return err
	}
	fmt.Fprintln(cmd.ErrOrStderr(), "mpctl: note:", printable(err.Error()))
	return nil
}
