package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/spf13/cobra"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/internal/glance"
	"github.com/multiprom/multiprom/internal/record"
)

func newTop() *cobra.Command {
	var dir, recording string
	var every, silent time.Duration
	var once, asJSON, families bool
	var trust trustFlag
	var ttl ttlFlag
	cmd := &cobra.Command{
		Use:   "top [DIR]",
		Short: "watch the workers and the metrics of a directory",
		Long: `Watch a directory: a row for each worker, or for each metric. Press h for help.

A worker's row has its slot and PID, its age, how long ago one of its values was
seen to change, its share of what all workers count, its CPU and memory. A
worker that changes nothing, while others do, is SILENT after --silent-after.
Metrics of the Go runtime and of the process are not looked at for this. A
worker that a signal or a debugger has stopped is STOPPED.

A metric's row has what it counts a second, the series that change a second, and
the bytes of its series in the workers' files.

If the output is no terminal, or with --once, both tables are printed once, with
rates over one --interval. What changes nothing in all of it is SILENT, while
others change. --json prints the same as one JSON document.

The trends begin with what mpctl serve --record has recorded, if it has.

Each interval costs about one scrape, and a little for each worker.`,
		Example: "  mpctl top /dev/shm/app\n  mpctl top /dev/shm/app --families --interval 5s\n  mpctl top /dev/shm/app --once --json | jq '.health'",
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := openView(dir, aggregate.Options{TrustUIDs: trust, TTL: ttl, NoSelfMetrics: true})
			if err != nil {
				return err
			}
			defer a.Close()
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			before, err := recordedTrends(cmp.Or(recording, record.DirOf(a.Dir())), every)
			if err != nil && recording != "" {
				return err
			}
			once = once || asJSON || !isTerminal(cmd.OutOrStdout())
			switch set := cmd.Flags().Changed("silent-after"); {
			case once && !set:
				silent = every
			case once && silent > every:
				return misused(cmd, "--silent-after %s is longer than --interval %s, which is all that is seen", silent, every)
			}
			watcher := glance.New(a, glance.Options{SilentAfter: silent, Before: before})
			if once {
				return topOnce(ctx, watcher, every, cmd.OutOrStdout(), asJSON)
			}
			view := topView{families: families}
			view.sort = view.defaultSort()
			_, err = tea.NewProgram(newTopModel(ctx, watcher, every, view), tea.WithContext(ctx), tea.WithInput(cmd.InOrStdin()), tea.WithOutput(cmd.OutOrStdout())).Run()
			if errors.Is(err, tea.ErrProgramKilled) && ctx.Err() != nil {
				return nil
			}
			return err
		},
	}
	addDirArg(cmd, &dir)
	trust.add(cmd)
	ttl.add(cmd)
	cmd.Flags().DurationVar(&every, "interval", 2*time.Second, "time between two looks")
	cmd.Flags().DurationVar(&silent, "silent-after", 30*time.Second, "how long a worker changes nothing, while others do, until it is marked; with --once the --interval")
	cmd.Flags().BoolVar(&once, "once", false, "print the tables once")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON document")
	cmd.Flags().StringVar(&recording, "record-dir", "", "where a recording is, with which the trends begin (default DIR.recording)")
	cmd.MarkFlagDirname("record-dir")
	obey(cmd, notEmpty, "record-dir")
	cmd.Flags().BoolVar(&families, "families", false, "begin with the metrics")
	obey(cmd, longerThanZero(""), "interval", "silent-after")
	return cmd
}

// recordedTrends returns the trends of a recording, in steps of that length.
func recordedTrends(dir string, step time.Duration) (*record.Trends, error) {
	t, err := record.ReadTrends(dir, max(step, time.Second), trendWidth)
	if err != nil {
		return nil, err
	}
	return &t, nil
}

// topOnce looks twice, for rates, and prints what it has seen.
func topOnce(ctx context.Context, w *glance.Watcher, every time.Duration, out io.Writer, asJSON bool) error {
	p, err := w.Over(ctx, every)
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(out, p)
	}
	v := topView{}
	for _, line := range v.summary(p, helpWidth) {
		fmt.Fprintln(out, line)
	}
	for _, v.families = range []bool{false, true} {
		v.sort = v.defaultSort()
		lines, _ := v.table(p, helpWidth)
		fmt.Fprintln(out)
		for _, line := range lines {
			if _, err := fmt.Fprintln(out, line); err != nil {
				return err
			}
		}
	}
	return nil
}
