// Collector shows a value that is known only when it is asked for: the free space of a
// filesystem. Every process that answers a scrape asks for it; it does not count.
//
//	go -C examples run ./collector 127.0.0.1:8080
package main

import (
	"context"
	"log"
	"net/http"
	"os"
	"syscall"

	"github.com/multiprom/multiprom"
	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/registry"
)

// space is the free space of paths.
type space struct{ paths []string }

// Describe says which names it uses, so that a clash is seen at the start.
func (*space) Describe() []*metric.Family {
	return []*metric.Family{{Name: "disk_free_bytes", Type: metric.Gauge, Unit: "bytes"}}
}

// Collect is called at each scrape. A path that fails costs its own series only.
func (s *space) Collect(context.Context) ([]*metric.Family, error) {
	free := &metric.Family{Name: "disk_free_bytes", Help: "Free space.", Type: metric.Gauge, Unit: "bytes"}
	var failed error
	for _, path := range s.paths {
		var fs syscall.Statfs_t
		if err := syscall.Statfs(path, &fs); err != nil {
			failed = err
			continue
		}
		free.Series = append(free.Series, metric.Series{
			Labels: metric.MakeLabels("path", path),
			Value:  float64(fs.Bavail) * float64(fs.Bsize),
		})
	}
	return []*metric.Family{free}, failed
}

func main() {
	registry.Default().MustRegister(&space{paths: []string{"/"}})
	http.Handle("/metrics", multiprom.Handler())
	log.Fatal(http.ListenAndServe(os.Args[1], nil))
}
