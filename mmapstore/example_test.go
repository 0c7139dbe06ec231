package mmapstore_test

import (
	"fmt"
	"math"
	"os"
	"runtime"
	"sync/atomic"

	"github.com/multiprom/multiprom/exposition"
	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/mmapstore"
)

// sizes is an instrument that this program brings along: a histogram whose buckets are
// powers of two, so that an update finds its bucket without a search.
type sizes struct {
	series *mmapstore.Series // keeps the words
	words  []uint64
}

const buckets = 8 // up to 1, 2, 4 … 128 bytes, and above

func newSizes(store *mmapstore.Store, name, help string) (*sizes, error) {
	schema := &metric.Schema{Name: name, Help: help, Unit: "bytes", Type: metric.Histogram}
	for i := range buckets {
		schema.Bounds = append(schema.Bounds, float64(uint64(1)<<i))
	}
	family, err := store.AddSchema(schema)
	if err != nil {
		return nil, err
	}
	series, err := family.AddSeries()
	if err != nil {
		return nil, err
	}
	return &sizes{series, series.Words()}, nil
}

func (s *sizes) observe(bytes uint64) {
	bucket := 0
	for bucket < buckets && bytes > uint64(1)<<bucket {
		bucket++
	}
	atomic.AddUint64(&s.words[mmapstore.CellHistogramBuckets+bucket], 1)
	sum := &s.words[mmapstore.CellHistogramSum]
	for added := false; !added; {
		old := atomic.LoadUint64(sum)
		added = atomic.CompareAndSwapUint64(sum, old, math.Float64bits(math.Float64frombits(old)+float64(bytes)))
	}
	runtime.KeepAlive(s) // until the last use of the words
}

// A program with an instrument of its own writes it to a file, and another reads the file.
func Example() {
	dir, err := os.MkdirTemp("", "metrics")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)

	// The process that writes.
	store, err := mmapstore.Create(dir, mmapstore.Options{ProcessID: "worker-1"})
	if err != nil {
		panic(err)
	}
	frames, err := newSizes(store, "frame_bytes", "Sizes of frames.")
	if err != nil {
		panic(err)
	}
	for _, bytes := range []uint64{3, 100, 5000} {
		frames.observe(bytes)
	}

	// Any process that reads.
	file, err := mmapstore.Read(store.Path(), mmapstore.ReadOptions{})
	if err != nil {
		panic(err)
	}
	fmt.Println(file.ProcessID, "is alive:", file.Alive)
	if err := exposition.Encode(os.Stdout, file.Families, exposition.Options{}); err != nil {
		panic(err)
	}

	// Output:
	// worker-1 is alive: true
	// # HELP frame_bytes Sizes of frames.
	// # TYPE frame_bytes histogram
	// frame_bytes_bucket{le="1"} 0
	// frame_bytes_bucket{le="2"} 0
	// frame_bytes_bucket{le="4"} 1
	// frame_bytes_bucket{le="8"} 1
	// frame_bytes_bucket{le="16"} 1
	// frame_bytes_bucket{le="32"} 1
	// frame_bytes_bucket{le="64"} 1
	// frame_bytes_bucket{le="128"} 2
	// frame_bytes_bucket{le="+Inf"} 3
	// frame_bytes_sum 5103
	// frame_bytes_count 3
}
