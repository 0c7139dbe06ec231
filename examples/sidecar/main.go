// Sidecar serves the merged metrics of a directory in which other processes count, with
// something of its own beside them, and compacts the dead. It is what `mpctl serve` does,
// for those who want to build their own.
//
//	mkdir -p -m 700 /dev/shm/app
//	go -C examples run ./sidecar 127.0.0.1:9464 /dev/shm/app
package main

import (
	"context"
	"log"
	"os"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/exposition"
	"github.com/multiprom/multiprom/registry"
	"github.com/multiprom/multiprom/registry/collectors"
)

func main() {
	if err := run(os.Args[1], os.Args[2]); err != nil {
		log.Fatal(err)
	}
}

func run(address, dir string) error {
	compactor, err := aggregate.NewCompactor(dir, aggregate.CompactorOptions{})
	if err != nil {
		return err
	}
	go compactor.Run(context.Background())
	view, err := aggregate.Open(dir, aggregate.Options{})
	if err != nil {
		return err
	}
	defer view.Close()
	own := registry.New(registry.Options{})
	if err := own.Register(collectors.NewBuildInfo()); err != nil {
		return err
	}
	server, err := exposition.Serve(exposition.ServerOptions{
		Addr:     address,
		Gatherer: registry.Merge(registry.Directory(view), own),
	})
	if err != nil {
		return err
	}
	return server.Wait()
}
