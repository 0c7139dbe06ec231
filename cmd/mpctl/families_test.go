package main

import (
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// rival is like `live`, but defines jobs as a gauge: `rival DIR LABEL READY`.
func rival() {
	store, err := mpm.Create(os.Args[1], mpm.Options{Label: os.Args[2]})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	defer store.Close()
	for _, s := range []*metric.Schema{
		{Name: "jobs", Help: "Jobs \x1b[31m waiting.", Type: metric.Gauge, Mode: metric.ModeMax, Labels: []string{"queue"}},
		{Name: "workers", Help: "Workers.", Type: metric.Gauge, Mode: metric.ModeLiveSum},
	} {
		f, err := store.AddSchema(s)
		if err == nil {
			_, err = store.AddSeries(f, []string{"mail"}[:len(s.Labels)], nil)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	stay(os.Args[3])
}

// TestModeIsShown: the mode is shown of every type whose series merge by it.
func TestModeIsShown(t *testing.T) {
	for kind, want := range map[metric.Type]string{
		metric.Gauge: "livesum", metric.Unknown: "livesum", metric.StateSet: "livesum",
		metric.Counter: "", metric.Histogram: "", metric.Summary: "", metric.Info: "",
	} {
		require.Equal(t, want, describeFamily(&metric.Schema{Type: kind, Mode: metric.ModeLiveSum}).Mode, kind)
	}
}
