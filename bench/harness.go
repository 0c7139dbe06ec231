package main

import (
	"context"
	"math"
	"runtime"
	"runtime/pprof"
	"slices"
	"time"
)

// side is one way to do a row's work. Its closures may keep state between samples, such
// as their position in a list of values.
type side struct {
	name    string
	prepare func()      // before each sample, not timed; nil: nothing
	run     func(n int) // does the work n times
}

// other is what multiprom is compared with: a side of its own, or an allowed value.
type other struct {
	side
	allowed float64 // used if run is nil: in ns, or in the unit of a figure
	goal    float64 // the largest ratio; 0: none
}

// row is one piece of work. Times are per run, or per part if it has parts, such as values
// to merge or lines to write.
type row struct {
	name   string
	ours   side
	others []other
	parts  int    // 0: one
	part   string // name of a part
	once   bool   // a sample is one run, since a run cannot be repeated without prepare
	// noAllocs adds a line with the goal that multiprom allocates nothing.
	noAllocs bool
}

// figure is a value that is counted instead of timed: bytes, allocations.
type figure struct {
	name, unit string
	ours       float64
	other      string
	value      float64
	goal       float64
}

// result is a line of the table.
type result struct {
	Group  string  `json:"group"`
	Row    string  `json:"row"`
	Unit   string  `json:"unit"`
	Ours   float64 `json:"ours"`
	Other  string  `json:"other"`
	Value  float64 `json:"value"` // of the other
	Ratio  float64 `json:"ratio"` // -1: value is 0
	Goal   float64 `json:"goal,omitempty"`
	OK     bool    `json:"ok"` // true without a goal
	Rounds int     `json:"rounds,omitempty"`
	Allocs float64 `json:"allocs"` // of ours, a run
	Bytes  float64 `json:"bytes"`
}

// effort is how long to measure.
type effort struct {
	rounds int
	sample time.Duration // of one side, reached by repeating short work
	row    time.Duration // of all samples of one row; minRounds may need more
}

const minRounds = 3

// measured is a row with its samples.
type measured struct {
	row
	runs    []int       // in a sample of each side: ours first, then others
	times   [][]float64 // ns a run, by side and round
	rounds  int
	done    int     // rounds so far
	spacing float64 // rounds of all rows per round of this row
}

// measure interleaves the rows and returns a result for each pair of sides.
func measure(group string, rows []row, e effort) []result {
	all := make([]*measured, len(rows))
	for i, r := range rows {
		all[i] = calibrate(r, e)
	}
	for round := range e.rounds {
		for _, m := range all {
			if int(float64(round+1)/m.spacing) > int(float64(round)/m.spacing) {
				m.round()
			}
		}
	}
	var out []result
	for _, m := range all {
		out = append(out, m.results(group)...)
	}
	return out
}

func (m *measured) sides() []side {
	all := []side{m.ours}
	for _, o := range m.others {
		if o.run != nil {
			all = append(all, o.side)
		}
	}
	return all
}

// calibrate determines how often each side runs in a sample, and how many rounds the row
// may have.
func calibrate(r row, e effort) *measured {
	m := &measured{row: r}
	var pass time.Duration
	for _, s := range m.sides() {
		s.sample(1) // the first run builds plans and buffers
		n, took := 1, s.least(1, r.once)
		for !r.once && took < e.sample && n < 1<<30 {
			n = max(2*n, min(100*n, int(float64(n)*float64(e.sample)/float64(took+1))))
			took = s.least(n, false)
		}
		m.runs = append(m.runs, n)
		pass += took
	}
	m.times = make([][]float64, len(m.runs))
	m.rounds = min(e.rounds, max(minRounds, int(e.row/(pass+1))))
	m.spacing = float64(e.rounds) / float64(m.rounds)
	return m
}

// least returns the shortest of a few samples. A single sample that other load delayed
// would end the calibration at so few runs that most of their data is not in the cache.
func (s side) least(n int, once bool) time.Duration {
	took := s.sample(n)
	for range 2 {
		if !once {
			took = min(took, s.sample(n))
		}
	}
	return took
}

func (s side) sample(n int) time.Duration {
	if s.prepare != nil {
		s.prepare()
	}
	began := time.Now()
	s.run(n)
	return time.Since(began)
}

// round takes a sample of each side. Another side goes first each time, because the first
// finds the caches as another row has left them. CPU profiles have labels for the sides:
// go tool pprof -tagfocus=side=ours.
func (m *measured) round() {
	sides, first := m.sides(), m.done
	m.done++
	for k := range sides {
		i := (first + k) % len(sides)
		s := sides[i]
		n, name := m.runs[i], s.name
		if i == 0 {
			name = "ours"
		}
		pprof.Do(background, pprof.Labels("side", name, "row", m.name), func(context.Context) {
			m.times[i] = append(m.times[i], float64(s.sample(n))/float64(n))
		})
	}
}

func (m *measured) results(group string) (out []result) {
	parts, unit := float64(max(1, m.parts)), "ns"
	if m.part != "" {
		unit = "ns/" + m.part
	}
	allocs, bytes := m.ours.allocations(m.runs[0])
	base := result{Group: group, Row: m.name, Unit: unit, Ours: median(m.times[0]) / parts, Rounds: len(m.times[0]), Allocs: allocs, Bytes: bytes}
	at := 0
	for _, o := range m.others {
		r := base
		r.Other = o.name
		if o.run == nil {
			r.Value = o.allowed / parts
			r.judge(r.Ours/r.Value, o.goal)
		} else {
			at++
			ratios := make([]float64, len(m.times[0]))
			for i := range ratios {
				ratios[i] = m.times[0][i] / m.times[at][i]
			}
			r.Value = median(m.times[at]) / parts
			r.judge(median(ratios), o.goal)
		}
		out = append(out, r)
	}
	if len(m.others) == 0 {
		base.judge(-1, 0)
		out = append(out, base)
	}
	if m.noAllocs {
		out = append(out, figure{name: m.name + ": allocations", ours: allocs, other: "none", goal: 1}.result(group))
	}
	return out
}

func (f figure) result(group string) result {
	r := result{Group: group, Row: f.name, Unit: f.unit, Ours: f.ours, Other: f.other, Value: f.value}
	if f.value == 0 {
		r.Ratio, r.Goal, r.OK = -1, f.goal, f.ours <= 0 || f.goal == 0
		return r
	}
	r.judge(f.ours/f.value, f.goal)
	return r
}

func (r *result) judge(ratio, goal float64) {
	r.Ratio, r.Goal = ratio, goal
	r.OK = goal == 0 || ratio <= goal
}

// allocations returns the allocations and bytes of one run. It returns the least of three
// tries, because allocations of other goroutines are counted too.
func (s side) allocations(n int) (allocs, bytes float64) {
	allocs, bytes = math.Inf(1), math.Inf(1)
	for range 3 {
		if s.prepare != nil {
			s.prepare()
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		s.run(n)
		runtime.ReadMemStats(&after)
		allocs = min(allocs, float64((after.Mallocs-before.Mallocs)/uint64(n)))
		bytes = min(bytes, float64((after.TotalAlloc-before.TotalAlloc)/uint64(n)))
	}
	return allocs, bytes
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}
