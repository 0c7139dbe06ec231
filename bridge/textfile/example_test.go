package textfile_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/multiprom/multiprom/bridge/textfile"
	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/multiproc"
	"github.com/multiprom/multiprom/registry"
)

// A cron job leaves a file for node_exporter when it has succeeded.
func Example() {
	dir, err := os.MkdirTemp("", "textfile")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)

	set := multiproc.NewSet(multiproc.SetOptions{})
	finished := multiproc.MustNew(set.NewGauge(multiproc.GaugeOpts{
		Name: "backup_finished_seconds", Help: "When the last backup was complete.", Mode: metric.ModeMax,
	}))
	finished.Set(float64(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).Unix()))

	only := registry.Restrict(registry.Instruments(set), "backup_finished_seconds") // no multiprom_*
	path := filepath.Join(dir, "backup.prom")
	if err := textfile.Write(context.Background(), path, only, textfile.Options{}); err != nil {
		fmt.Println(err)
		return
	}
	text, err := os.ReadFile(path)
	fmt.Print(string(text))
	fmt.Println(err)
	// Output:
	// # HELP backup_finished_seconds When the last backup was complete.
	// # TYPE backup_finished_seconds gauge
	// backup_finished_seconds 1767323045
	// <nil>
}
