package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"

	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/multiproc"
)

// fleetEnv makes a process run the workers of a directory.
const fleetEnv = "MULTIPROM_BENCH_FLEET"

// shape says what the workers of a directory write. All write the same series, or with
// Distinct each its own.
type shape struct {
	Dir                  string
	Workers              int
	Counters, Histograms int // series of a worker
	Distinct             bool
	Shuffled             bool // each worker makes its series in another order
	Native               bool // the histograms have native buckets instead of classic ones
}

// Words of a histogram: a sum and 12 buckets, or three cells and seven regions.
const (
	classicWords = 13
	nativeWords  = 59
)

// values is how many values a merge reads.
func (s shape) values() int {
	words := classicWords
	if s.Native {
		words = nativeWords
	}
	return s.Workers * (s.Counters + words*s.Histograms)
}

func sharedName(workers, values int) string { return thousands(workers) + " x " + thousands(values) }

// sharedShape has the given number of values per worker, half of them in histograms.
func (b *bench) sharedShape(workers, values int) shape {
	s := shape{Workers: b.scaled(workers), Counters: b.scaled(values)}
	s.Histograms = s.Counters / 25
	s.Counters -= 13 * s.Histograms
	return s
}

// fleet is the workers of a directory, in one process of their own.
type fleet struct {
	shape
	in  io.Writer
	out *bufio.Reader
}

// newFleet starts workers in a new directory. They live as long as the group.
func (b *bench) newFleet(s shape) *fleet {
	s.Dir = b.newDir()
	f, end := startFleet(s)
	b.onClose(end)
	return f
}

// newDead returns a new directory with the files of dead workers.
func (b *bench) newDead(s shape) *fleet {
	s.Dir = b.newDir()
	const atOnce = 500 // each worker needs a descriptor, and their process has a limit
	for left := s.Workers; left > 0; left -= atOnce {
		some := s
		some.Workers = min(left, atOnce)
		_, end := startFleet(some)
		end()
	}
	return &fleet{shape: s}
}

// startFleet starts workers and waits until they have written every series once. They
// live until end is called.
func startFleet(s shape) (f *fleet, end func()) {
	cmd := exec.Command(must(os.Executable()))
	cmd.Env = append(os.Environ(), fleetEnv+"="+string(must(json.Marshal(s))))
	cmd.Stderr = os.Stderr
	in := must(cmd.StdinPipe())
	f = &fleet{shape: s, in: in, out: bufio.NewReader(must(cmd.StdoutPipe()))}
	check(cmd.Start())
	f.answer()
	return f, func() {
		check(in.Close())
		check(cmd.Wait())
	}
}

func (f *fleet) answer() { must(f.out.ReadString('\n')) }

// change updates a share of every family's series, each in one worker: series scattered
// over the family, or its first ones.
func (f *fleet) change(share float64, scattered bool) {
	if share == 0 {
		return
	}
	must(fmt.Fprintln(f.in, share, scattered))
	f.answer()
}

// runFleet is the other end: it creates the workers and follows commands until its input
// ends.
func runFleet(spec string) {
	var s shape
	check(json.Unmarshal([]byte(spec), &s))
	// One per series, by worker, in the order of their labels.
	incs, observations := make([][]func(), s.Workers), make([][]func(), s.Workers)
	for w := range s.Workers {
		set := multiproc.NewSet(multiproc.SetOptions{Dir: s.Dir, ProcessID: strconv.Itoa(w), MaxSeries: metric.NoLimit})
		labels := []string{"path", "code"}
		counters := multiproc.MustNew(set.NewCounterVec(multiproc.CounterOpts{Name: "requests_total", Help: "Requests served."}, labels))
		opts := multiproc.HistogramOpts{Name: "latency_seconds", Help: "Time to serve a request.", Buckets: bounds}
		if s.Native {
			opts.Buckets, opts.NativeHistogramBucketFactor = nil, nativeFactor
		}
		histograms := multiproc.MustNew(set.NewHistogramVec(opts, labels))
		first := 0
		if s.Distinct {
			first = w
		}
		// order returns in which order the worker makes n series.
		order := func(n int) iter.Seq[int] {
			if s.Shuffled {
				return slices.Values(rand.New(rand.NewPCG(uint64(w), 0)).Perm(n))
			}
			return func(yield func(int) bool) {
				for i := 0; i < n && yield(i); i++ {
				}
			}
		}
		incs[w], observations[w] = make([]func(), s.Counters), make([]func(), s.Histograms)
		for i := range order(s.Counters) {
			c := counters.WithLabelValues(fmt.Sprintf("/some/path/%07d", first*s.Counters+i), "200")
			c.Add(float64(i))
			incs[w][i] = c.Inc
		}
		for i := range order(s.Histograms) {
			h := histograms.WithLabelValues(fmt.Sprintf("/some/path/%07d", first*s.Histograms+i), "200")
			if s.Native {
				for v := range 48 { // of seven regions
					h.Observe(math.Exp2(float64(v+1) / 8))
				}
				observations[w][i] = func() { h.Observe(4) }
				continue
			}
			for v := range bounds {
				h.Observe(bounds[v] * 1.01)
			}
			observations[w][i] = func() { h.Observe(0.3) }
		}
	}
	fmt.Println("ready")
	for {
		var share float64
		var scattered bool
		if _, err := fmt.Scanln(&share, &scattered); err != nil {
			return // the files stay and count as dead
		}
		change(incs, share, scattered, s.Distinct)
		change(observations, share, scattered, s.Distinct)
		fmt.Println("changed")
	}
}

func change(updates [][]func(), share float64, scattered, distinct bool) {
	n := len(updates[0])
	step, end := 1, int(share*float64(n))
	if scattered {
		step, end = max(1, int(1/share)), n
	}
	for i := 0; i < end; i += step {
		for w := range updates {
			if distinct || w == i%len(updates) {
				updates[w][i]()
			}
		}
	}
}
