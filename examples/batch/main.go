// Batch is a job of several processes that end before anything could scrape them. Each
// counts in the directory; the last step pushes what all of them have counted to a
// Pushgateway, as one group.
//
//	go -C examples run ./batch http://127.0.0.1:9091
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/bridge/pushgateway"
	"github.com/multiprom/multiprom/multiproc"
)

var rows = multiproc.NewCounter(multiproc.CounterOpts{Name: "rows_total", Help: "Rows imported."})

func main() {
	step := importRows
	if len(os.Args) > 1 {
		step = func() error { return job(os.Args[1]) }
	}
	if err := step(); err != nil {
		log.Fatal(err)
	}
}

// importRows is the work of one process.
func importRows() error {
	for range 1000 {
		rows.Inc()
	}
	return nil
}

func job(gateway string) error {
	dir, err := os.MkdirTemp("", "batch")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	self, err := os.Executable()
	if err != nil {
		return err
	}
	for range 3 {
		part := exec.Command(self)
		part.Env = append(os.Environ(), multiproc.EnvDir+"="+filepath.Clean(dir))
		if out, err := part.CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
	}
	view, err := aggregate.Open(dir, aggregate.Options{})
	if err != nil {
		return err
	}
	defer view.Close()
	pusher, err := pushgateway.New(pushgateway.Options{URL: gateway, Job: "import"})
	if err != nil {
		return err
	}
	return pusher.Push(context.Background(), view)
}
