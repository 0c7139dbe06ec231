// Remotewrite sends the merged metrics of all processes to Prometheus, Mimir, Thanos or
// VictoriaMetrics, from a machine that cannot be scraped. What could not be sent waits in a
// queue on disk, also over a restart.
//
//	mkdir -p -m 700 /dev/shm/app
//	PROMETHEUS_MULTIPROC_DIR=/dev/shm/app go -C examples run ./remotewrite http://127.0.0.1:9090/api/v1/write /dev/shm/app.queue
package main

import (
	"context"
	"errors"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/multiprom/multiprom/bridge/delivery"
	"github.com/multiprom/multiprom/bridge/remotewrite"
	"github.com/multiprom/multiprom/multiproc"
	"github.com/multiprom/multiprom/registry"
)

var jobs = multiproc.NewCounter(multiproc.CounterOpts{Name: "jobs_total", Help: "Jobs done."})

func main() {
	if err := run(os.Args[1], os.Args[2]); err != nil {
		log.Fatal(err)
	}
}

func run(url, queue string) error {
	writer, err := remotewrite.New(remotewrite.Options{
		Options: delivery.Options{URL: url, QueueDir: queue, Interval: time.Second},
		Labels:  map[string]string{"job": "app", "instance": "web-1"},
	})
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	go func() {
		for ctx.Err() == nil { // the work
			jobs.Inc()
			time.Sleep(10 * time.Millisecond)
		}
	}()
	if err := writer.Run(ctx, registry.Default()); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}
