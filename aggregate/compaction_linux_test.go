package aggregate

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/actions"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/internal/pyfile"
	"github.com/multiprom/multiprom/internal/pyfiletest"
	"github.com/multiprom/multiprom/metric"
)

// TestCompactionKeepsTheView compacts random directories of native files and files of
// client_python, of processes that live, have died, and were marked dead, whose names, types,
// modes, helps, units, labels, buckets and ids collide. To the last bit the view must be
// what it was, of a reader that knew the directory before and of a new one, however
// often and in whatever portions it is compacted. MULTIPROM_SCHEDULES is how many directories there are.
func TestCompactionKeepsTheView(t *testing.T) {
	rounds := 40
	if n, err := strconv.Atoi(os.Getenv("MULTIPROM_SCHEDULES")); err == nil {
		rounds = n
	}
	compacted := 0
	for seed := range uint64(rounds) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			c := newColliding(t, rand.New(rand.NewPCG(seed, 11)))
			defer c.close()
			for range 2 + c.IntN(5) {
				c.happen()
				compacted += c.compactSomehow()
			}
		})
	}
	require.Greater(t, compacted, rounds, "the test must compact something")
	t.Logf("%d directories, %d files were compacted", rounds, compacted)
}

// colliding is a random directory.
type colliding struct {
	*rand.Rand
	t              *testing.T
	dir, elsewhere string
	opts           Options
	warm           *Aggregator
	age            int64                       // of the file that was made last, in seconds
	apart          bool                        // no id is both a native process's and one of client_python
	removes        bool                        // native processes remove series
	python         map[string]*collidingPython // by name of the file
	kept           []*mpm.Series               // of living native processes
	story          []string
}

type collidingPython struct {
	samples []pyfiletest.Sample
	stride  pyfiletest.Stride
	writer  *os.File // nil once its process has died
}

func newColliding(t *testing.T, r *rand.Rand) *colliding {
	now := time.Unix(1_000_000, 0)
	c := &colliding{
		Rand: r, t: t, dir: t.TempDir(), elsewhere: t.TempDir(), python: map[string]*collidingPython{}, age: 1000,
		opts: Options{NoSelfMetrics: true, Now: func() time.Time { return now }}, apart: r.IntN(2) == 0,
	}
	c.removes = !c.apart && r.IntN(2) == 0
	c.warm = openDir(t, c.dir, c.opts)
	return c
}

func (c *colliding) close() {
	for _, p := range c.python {
		if p.writer != nil {
			p.writer.Close()
		}
	}
}

func (c *colliding) note(format string, args ...any) {
	c.story = append(c.story, fmt.Sprintf(format, args...))
}

func oneOf[T any](c *colliding, from ...T) T { return from[c.IntN(len(from))] }

func (c *colliding) coin(of int) bool { return c.IntN(of) == 0 }

// familyName returns a name that is, with luck, also that of a sample of another family.
func (c *colliding) familyName() string {
	return oneOf(c, "a", "b") + oneOf(c, "", "", "", "", "_total", "_sum", "_count", "_bucket", "_created", "_info")
}

// happen lets processes begin, go on and die.
func (c *colliding) happen() {
	for range 1 + c.IntN(4) {
		actions.List{
			{Weight: 3, Name: "a native process", Do: c.nativeProcess},
			{Weight: 3, Name: "a process of client_python", Do: c.pythonProcess},
			{Weight: 1, Name: "processes of client_python die", Do: c.pythonDies},
			{Weight: 1, Name: "a series is removed", Do: func() {
				if c.removes && len(c.kept) > 0 {
					oneOf(c, c.kept...).Remove()
				}
			}},
		}.Random(c.Rand)
	}
}

func (c *colliding) nativeProcess() {
	label := oneOf(c, "1", "2", "10")
	if c.apart {
		label = "n" + label
	}
	live := c.coin(3)
	where := c.elsewhere
	if live {
		where = c.dir
	}
	c.age += 10
	p := newTickingProcess(c.t, where, label, time.Unix(c.age, 0))
	c.note("native process %s, live %v", label, live)
	for range 1 + c.IntN(4) {
		schema := &metric.Schema{
			Name: c.familyName(), Help: oneOf(c, "A.", "B."), Unit: oneOf(c, "", "", "seconds"), Type: oneOf(c, metric.Counter, metric.Gauge, metric.Gauge, metric.Summary, metric.Histogram, metric.Info, metric.StateSet),
			Labels: oneOf(c, nil, []string{"l"}, []string{"l"}, []string{"pid"}, []string{"pid", "worker_pid"}),
		}
		switch schema.Type {
		case metric.Gauge:
			schema.Mode = c.mode()
		case metric.StateSet:
			schema.Mode = oneOf(c, metric.ModeAll, metric.ModeLiveAll, metric.ModeMostRecent)
			schema.States = oneOf(c, []string{"on", "off"}, []string{"off", "on"})
		case metric.Histogram:
			schema.Bounds = oneOf(c, []float64{1}, []float64{1, 2}, []float64{0.5, 2, 5}, []float64{-1, 1})
		}
		f, err := p.AddSchema(schema)
		require.NoError(c.t, err)
		c.note("  %s %s %s %q %q %v", schema.Name, schema.Type, schema.Mode, schema.Help, schema.Unit, schema.Labels)
		for range c.IntN(3) {
			var extra metric.Labels
			if schema.Type == metric.Info {
				extra = metric.MakeLabels("version", oneOf(c, "1", "2"))
			}
			s, err := p.AddSeries(f, []string{oneOf(c, "x", "y"), oneOf(c, "x", "y")}[:len(schema.Labels)], extra)
			if err != nil {
				continue // it is there
			}
			randomWords(c.Rand, schema, s.Words())
			if schema.Type == metric.Counter || schema.Type == metric.Histogram {
				for range c.IntN(3) {
					s.SetExemplar(0, metric.MakeLabels("id", oneOf(c, "1", "2")), float64(c.IntN(2))-1, int64(1+c.IntN(4)))
				}
			}
			if live {
				c.kept = append(c.kept, s)
			}
		}
	}
	if !live {
		die(c.t, p.Store, c.dir)
	}
}

func (c *colliding) mode() metric.Mode {
	for {
		if m := metric.ModeAll + metric.Mode(c.IntN(16)); m.Valid() {
			return m
		}
	}
}

// pythonProcess lets a process begin, or write on in its files.
func (c *colliding) pythonProcess() {
	id := oneOf(c, "1", "2", "10", "1-0")
	if c.apart {
		id = "p" + id
	}
	for range 1 + c.IntN(3) {
		kind := oneOf(c, "counter", "summary", "histogram", "gauge_"+c.mode().String(), "gauge_"+c.mode().String())
		c.pythonFile(kind, kind+"_"+id+".db")
	}
}

func (c *colliding) pythonFile(kind, name string) {
	f := c.python[name]
	if f == nil {
		f = &collidingPython{stride: oneOf(c, pyfiletest.Timed, pyfiletest.Timed, pyfiletest.Simple)}
		c.python[name] = f
	}
	c.note("client_python writes %s", name)
	for range 1 + c.IntN(4) {
		for _, s := range c.pythonSamples(kind) {
			if !slices.ContainsFunc(f.samples, func(o pyfiletest.Sample) bool { return o.Key == s.Key }) || c.coin(20) {
				f.samples = append(f.samples, s)
				c.note("  %s %v at %v", s.Key, s.Value, s.Time)
			}
		}
	}
	path := filepath.Join(c.dir, name)
	if f.writer == nil {
		var err error
		f.writer, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		require.NoError(c.t, err)
	}
	_, err := f.writer.WriteAt(f.stride.Content(f.samples...), 0)
	require.NoError(c.t, err)
	if c.coin(2) {
		require.NoError(c.t, f.writer.Close())
		f.writer = nil
		c.note("  its process dies")
	}
	c.age += 10
	require.NoError(c.t, os.Chtimes(path, time.Time{}, time.Unix(c.age, 0)))
}

// pythonSamples returns one sample, or those of a histogram that belong together.
func (c *colliding) pythonSamples(kind string) (out []pyfiletest.Sample) {
	family, help := c.familyName(), oneOf(c, "A.", "A.", "B.", "")
	labels := oneOf(c, "", `"l": "x"`, `"l": "y"`, `"l": "x"`, `"pid": "x"`, `"pid": "x", "worker_pid": "y"`)
	at := oneOf(c, 0, 1, 2, 2, 1.5, 999_999, 1_000_030, 2_000_000, 9.3e9, 1e300, math.Inf(1), math.NaN(), -5, 1e-12)
	sample := func(name, labels string, v float64) {
		out = append(out, pyfiletest.Sample{Key: fmt.Sprintf(`["%s", "%s", {%s}, "%s"]`, family, name, labels, help), Value: v, Time: at})
	}
	count := func() float64 {
		if c.coin(12) {
			return oneOf(c, 0.5, -1, 1<<53, 1e19, math.Inf(1), math.NaN())
		}
		return float64(c.IntN(100))
	}
	switch kind {
	case "counter":
		sample(family+oneOf(c, "", "_total", "_total"), labels, c.value())
	case "summary":
		if !c.coin(6) {
			sample(family+"_sum", labels, c.value())
		}
		if !c.coin(6) {
			sample(family+"_count", labels, count())
		}
	case "histogram":
		if labels != "" {
			labels += ", "
		}
		if !c.coin(6) {
			sample(family+"_sum", strings.TrimSuffix(labels, ", "), c.value())
		}
		for _, le := range oneOf(c, []string{"1.0", "+Inf"}, []string{"0.5", "2.0", "+Inf"}, []string{"1.0"}, []string{"+Inf"}, nil) {
			sample(family+"_bucket", labels+fmt.Sprintf(`"le": "%s"`, le), count())
		}
	default:
		sample(family, labels, c.value())
	}
	return out
}

func (c *colliding) value() float64 {
	switch c.IntN(12) {
	case 0:
		return oneOf(c, math.NaN(), math.Inf(1), math.Inf(-1), math.Copysign(0, -1), 0, -3)
	case 1:
		return oneOf(c, 1<<53, 1e17, 1e300, math.SmallestNonzeroFloat64)
	}
	return math.Ldexp(c.Float64(), c.IntN(80)-40)
}

// pythonDies lets the writer of a file end.
func (c *colliding) pythonDies() {
	for name, f := range c.pythonFiles() {
		if f.writer != nil && c.coin(2) {
			f.writer.Close()
			f.writer = nil
			c.note("the process of %s dies", name)
		}
	}
}

// pythonFiles yields the files of client_python in an order that the seed decides.
func (c *colliding) pythonFiles() func(func(string, *collidingPython) bool) {
	return func(yield func(string, *collidingPython) bool) {
		var names []string
		for name := range c.python {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			if !yield(name, c.python[name]) {
				return
			}
		}
	}
}

// compactSomehow compacts the directory in some way, and compares what is seen before and
// after. It returns how many files are in the archive now.
func (c *colliding) compactSomehow() int {
	marked := !c.apart || c.coin(2)
	d, err := mpm.OpenDir(c.dir)
	require.NoError(c.t, err)
	defer d.Close()
	for name, f := range c.pythonFiles() {
		if f.writer == nil && (marked || c.coin(4)) {
			_, err := pyfile.SetAside(d, name)
			require.NoError(c.t, err)
			delete(c.python, name)
			c.note("%s is set aside", name)
		}
	}
	if c.coin(6) {
		before := view(c.t, c.warm)
		c.compact(CompactOptions{Now: c.opts.Now}) // of native files alone
		c.same(before, true)
	}
	before := view(c.t, c.warm)
	require.Equal(c.t, before, view(c.t, openDir(c.t, c.dir, c.opts)), "%s", strings.Join(c.story, "\n"))
	opts := CompactOptions{Python: true, Now: c.opts.Now}
	if c.coin(4) {
		opts.Threshold = c.IntN(4)
	}
	compacted := c.compact(opts)
	c.same(before, marked)
	before = view(c.t, c.warm)
	compacted += c.compact(CompactOptions{Python: true, Now: c.opts.Now})
	c.same(before, marked)
	for name, f := range c.python {
		if f.writer == nil {
			delete(c.python, name) // it was set aside, and is in the archive or damaged
		}
	}
	return compacted
}

func (c *colliding) compact(opts CompactOptions) int {
	r, err := Compact(c.t.Context(), c.dir, opts)
	require.NoError(c.t, err)
	c.note("compacted %v, left %v", r.Compacted, r.Left)
	return len(r.Compacted)
}

// same compares what is seen with what was. Live gauges of processes that were found to
// have died have left.
func (c *colliding) same(before []string, all bool) {
	c.t.Helper()
	after := view(c.t, c.warm)
	cold := view(c.t, openDir(c.t, c.dir, c.opts))
	require.Equal(c.t, after, cold, "%s", strings.Join(c.story, "\n"))
	if !all {
		before, after = c.withoutLive(before), c.withoutLive(after)
	}
	require.Equal(c.t, before, after, "%s", strings.Join(c.story, "\n"))
}

// withoutLive leaves out the families of live gauges.
func (c *colliding) withoutLive(lines []string) (out []string) {
	live := false
	for _, line := range lines {
		if name, ok := strings.CutPrefix(line, "# "); ok {
			name, _, _ = strings.Cut(name, " ")
			schema, _, _ := c.warm.table.Describe(name)
			live = schema.Mode.Live()
		}
		if !live {
			out = append(out, line)
		}
	}
	return out
}
