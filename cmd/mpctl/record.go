package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/internal/record"
)

// recordFlags are the flags --record, --record-dir and --record-bytes.
type recordFlags struct {
	keep  time.Duration
	dir   string
	bytes int64
}

func (r *recordFlags) addFlags(cmd *cobra.Command) {
	cmd.Flags().DurationVar(&r.keep, "record", 0, "record this many minutes for mpctl replay, such as 10m (default none)")
	cmd.Flags().StringVar(&r.dir, "record-dir", "", "where to record (default DIR.recording)")
	cmd.Flags().Int64Var(&r.bytes, "record-bytes", 256<<20, "how large a recording may be; it then keeps fewer minutes")
	obey(cmd, longerThanZero("; leave it out to record nothing"), "record")
	obey(cmd, notEmpty, "record-dir")
	obey(cmd, atLeast(1<<20, ""), "record-bytes")
	cmd.MarkFlagDirname("record-dir")
}

// start records in the background until ctx ends. stop waits for that. Without --record it
// does nothing.
func (r *recordFlags) start(ctx context.Context, dir string, a *aggregate.Aggregator, log *slog.Logger) (_ *record.Recorder, stop func(), err error) {
	if r.keep == 0 {
		return nil, func() {}, nil
	}
	if r.dir == "" {
		r.dir = record.DirOf(dir)
	}
	recorder, err := record.Open(r.dir, a, record.Options{Keep: r.keep, MaxBytes: r.bytes, Logger: log})
	if err != nil {
		return nil, nil, err
	}
	log.Info("Recording", "dir", r.dir, "keep", r.keep)
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		recorder.Run(ctx)
	}()
	return recorder, func() {
		cancel()
		<-done
		if err := recorder.Close(); err != nil {
			log.Warn("closing the recording", "error", err)
		}
	}, nil
}
