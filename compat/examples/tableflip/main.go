// Tableflip is a server that replaces itself without losing a request: SIGHUP starts
// its successor, which inherits the listener, and the old process drains. Both count
// in files of their own, and /metrics of either shows both.
//
//	mkdir -p -m 700 /dev/shm/app
//	PROMETHEUS_MULTIPROC_DIR=/dev/shm/app go -C compat run ./examples/tableflip 127.0.0.1:8080
package main

import (
	"context"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/cloudflare/tableflip"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/exposition"
	"github.com/multiprom/multiprom/multiproc"
	"github.com/multiprom/multiprom/registry"
)

var requests = multiproc.NewCounter(multiproc.CounterOpts{Name: "requests", Help: "Requests served."})

func main() {
	if err := serve(os.Args[1]); err != nil {
		log.Fatal(err)
	}
}

func serve(address string) error {
	upgrader, err := tableflip.New(tableflip.Options{})
	if err != nil {
		return err
	}
	defer upgrader.Stop()
	go upgradeOnSIGHUP(upgrader)

	if err := multiproc.Open(); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	// Each process compacts what its predecessors have left.
	compactor, err := aggregate.NewCompactor(multiproc.Default().Dir(), aggregate.CompactorOptions{})
	if err != nil {
		return err
	}
	go compactor.Run(ctx)

	listener, err := upgrader.Listen("tcp", address)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/metrics", exposition.Handler(registry.Default()))
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		requests.Inc()
		w.Write([]byte("hello\n"))
	})
	server := &http.Server{Handler: mux}
	go server.Serve(listener)
	if err := upgrader.Ready(); err != nil {
		return err
	}
	<-upgrader.Exit()

	drain, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return server.Shutdown(drain)
}

func upgradeOnSIGHUP(upgrader *tableflip.Upgrader) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	for range hangup {
		if err := upgrader.Upgrade(); err != nil {
			log.Print("not upgraded: ", err)
		}
	}
}
