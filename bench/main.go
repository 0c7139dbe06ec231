package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"runtime/debug"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

func main() {
	if spec := os.Getenv(fleetEnv); spec != "" {
		runFleet(spec)
		return
	}
	full := flag.Bool("full", false, "all rows, not only those with a goal")
	match := flag.String("run", "", "only rows whose group/name matches the `regexp`")
	asJSON := flag.Bool("json", false, "print JSON")
	report := flag.String("report", "", "write the tables with machine, versions and command into this `file` too")
	dir := flag.String("dir", defaultDir(), "`directory` in which directories are made; best on a tmpfs")
	rounds := flag.Int("rounds", 51, "how many `samples` each side gets, fewer where a row would take over 10 s")
	scale := flag.String("scale", "", "measure the cost against processes, series and files instead, and write the points into this CSV `file`")
	plots := flag.String("plots", "", "measure nothing: draw the points of this CSV `file` beside it, and write them as a table")
	profile := flag.String("cpuprofile", "", "write a CPU profile to this `file`; its samples have the labels row and side (ours, or the peer)")
	flag.Parse()
	if *rounds < 1 {
		fmt.Fprintln(os.Stderr, "bench: --rounds must be at least 1")
		os.Exit(2)
	}
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "bench: %q: there are no arguments but flags\n", flag.Arg(0))
		os.Exit(2)
	}
	if *plots != "" {
		if err := drawAll(*plots); err != nil {
			fmt.Fprintf(os.Stderr, "bench: %v\n", err)
			os.Exit(1)
		}
		return
	}
	base := must(os.MkdirTemp(*dir, "multiprom-bench-"))
	// Files left in a tmpfs would occupy gigabytes. The rename keeps processes that still
	// run from creating files meanwhile.
	clean := sync.OnceFunc(func() {
		gone := base + ".gone"
		_ = os.Rename(base, gone)
		_ = os.RemoveAll(gone)
	})
	defer clean()
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-interrupted
		clean()
		os.Exit(130)
	}()
	o := options{full: *full, match: regexp.MustCompile(*match), dir: base, effort: effort{rounds: *rounds, sample: 4 * time.Millisecond, row: 10 * time.Second}, notes: os.Stderr}
	if !*asJSON {
		o.progress = os.Stderr
	}
	if *profile != "" {
		f := must(os.Create(*profile))
		defer f.Close()
		check(pprof.StartCPUProfile(f))
		defer pprof.StopCPUProfile()
	}
	began := time.Now()
	if *scale != "" {
		o.effort.row = 5 * time.Second
		points := o.scale()
		check(os.WriteFile(*scale, []byte(formatPoints(environment(time.Since(began)), points)), 0o644))
		return
	}
	results := o.run()
	if *asJSON {
		enc := json.NewEncoder(os.Stdout)
		enc.SetIndent("", " ")
		check(enc.Encode(results))
	} else {
		check(printTable(os.Stdout, results))
		fmt.Printf("\n%d rows, %d missed, %s\n", len(results), missed(results), time.Since(began).Round(time.Second))
	}
	if *report != "" {
		check(os.WriteFile(*report, []byte(markdown(results, command(), time.Since(began))), 0o644))
	}
}

// command is the command line without the paths of files.
func command() string {
	words := []string{"go run ."}
	flag.Visit(func(f *flag.Flag) {
		if f.Name != "report" && f.Name != "dir" && f.Name != "cpuprofile" {
			words = append(words, fmt.Sprintf("--%s=%s", f.Name, f.Value))
		}
	})
	return strings.Join(words, " ")
}

// defaultDir is a tmpfs if there is one: writing pages back to a disk would stall the
// workers.
func defaultDir() string {
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		return "/dev/shm"
	}
	return os.TempDir()
}

// options of a run.
type options struct {
	full     bool
	match    *regexp.Regexp
	dir      string
	effort   effort
	progress io.Writer // gets the name of the running group; may be nil
	notes    io.Writer // gets what cannot be measured; may be nil
	tiny     bool      // smallest possible directories and lists, for a test that all rows run
}

// bench collects the rows of a group.
type bench struct {
	options
	group   string
	dir     string // of the group, new and empty
	rows    []row
	figures []figure
	closers []func()
}

// note reports what could not be measured.
func (b *bench) note(format string, args ...any) {
	if b.notes != nil {
		fmt.Fprintf(b.notes, "bench: "+format+"\n", args...)
	}
}

// group declares rows that run together. What they need is built only if one of them is
// wanted.
type group struct {
	name    string
	declare func(b *bench)
}

var groups = []group{
	{"update", updateRows},
	{"native histograms", nativeRows},
	{"native histograms, merged", nativeMergeRows},
	{"2 goroutines", contendedRows},
	{"lookup", lookupRows},
	{"new series", newSeriesRows},
	{"exemplars", exemplarRows},
	{"compat/prom", compatRows},
	sharedGroup(1, 100_000, 2.5),
	sharedGroup(8, 5_000, 1.5),
	sharedGroup(64, 10_000, 2.5),
	sharedGroup(8, 100_000, 2.5),
	{"scrape " + sharedName(64, 10_000) + " in different orders", shuffledRows},
	distinctGroup(64, 16_000),
	{"beside removals", removalRows},
	{"peers' scrape", peerScrapeRows},
	{"client_python", pythonRows},
	{"remote write and OTLP", exitRows},
	{"recorder", recorderRows},
	{"size", sizeRows},
	{"size of native histograms", nativeSizeRows},
}

func (o options) run() (out []result) {
	for _, g := range groups {
		out = append(out, o.runGroup(g)...)
	}
	return out
}

func (o options) runGroup(g group) (out []result) {
	b := &bench{options: o, group: g.name, dir: must(os.MkdirTemp(o.dir, ""))}
	defer func() {
		b.close()
		check(os.RemoveAll(b.dir))
		debug.FreeOSMemory() // one group must not slow down the next
	}()
	if o.progress != nil {
		fmt.Fprintln(o.progress, g.name)
	}
	g.declare(b)
	out = measure(g.name, b.rows, o.effort)
	for _, f := range b.figures {
		out = append(out, f.result(g.name))
	}
	return out
}

// goal declares a row that has a goal. Without --full, only peers that bound it run.
func (b *bench) goal(name string, build func() row) {
	if b.wants(name) {
		r := build()
		r.name = name
		if !b.full {
			r.others = slices.DeleteFunc(r.others, func(o other) bool { return o.goal == 0 })
		}
		b.rows = append(b.rows, r)
	}
}

// extra declares a row of a full run.
func (b *bench) extra(name string, build func() row) {
	if b.full {
		b.goal(name, build)
	}
}

// figure declares a value that is counted instead of timed.
func (b *bench) figure(name string, count func() figure) {
	if b.wants(name) {
		f := count()
		f.name = name
		b.figures = append(b.figures, f)
	}
}

func (b *bench) wants(name string) bool { return b.match.MatchString(b.group + "/" + name) }

// scaled returns n, or a very small number in a test.
func (b *bench) scaled(n int) int {
	if b.tiny {
		return min(n, 50)
	}
	return n
}

// newDir creates an empty directory that is removed with the group.
func (b *bench) newDir() string { return must(os.MkdirTemp(b.dir, "")) }

// close ends what the group has started, in reverse order.
func (b *bench) close() {
	for _, end := range slices.Backward(b.closers) {
		end()
	}
}

func (b *bench) onClose(f func()) { b.closers = append(b.closers, f) }

func must[T any](v T, err error) T {
	check(err)
	return v
}

// check ends the run on an error, because a table without a row would mislead.
func check(err error) {
	if err != nil {
		panic(fmt.Sprintf("bench: %v", err))
	}
}
