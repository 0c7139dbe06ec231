package record

import (
	"math"
	"slices"
	"time"
)

// Trends are rates a second over the last time, in steps of equal length. A line has a value
// for each step, the newest last; NaN says that nothing was recorded then.
type Trends struct {
	Step      time.Duration
	Steps     int
	End       time.Time            // of what was recorded
	Families  map[string][]float64 // by name, without those that counted nothing
	Processes map[string][]float64 // by key, of all families together; likewise
}

// Family returns the line of a family.
func (t *Trends) Family(name string) []float64 { return t.line(t.Families[name]) }

// Process returns the line of a process.
func (t *Trends) Process(key string) []float64 { return t.line(t.Processes[key]) }

func (t *Trends) line(line []float64) []float64 {
	if line == nil {
		line = make([]float64, t.Steps)
	}
	return line
}

// ReadTrends returns the trends of a recording, up to its end.
func ReadTrends(dir string, step time.Duration, steps int) (Trends, error) {
	files, err := loadAll(dir)
	if err != nil {
		return Trends{}, err
	}
	t := trendKeeper{step: step, steps: steps}
	t.replay(files)
	return t.trends(), nil
}

// trendKeeper adds up what is counted in each step.
type trendKeeper struct {
	step                time.Duration
	steps               int // at most
	last                time.Time
	end                 time.Time            // of the current step
	seconds             []float64            // that were seen of each step, the current one last
	families, processes map[string][]float64 // sums, as long as seconds
}

// longestTick is how far apart two ticks may be if none is missing.
const longestTick = 2500 * time.Millisecond

// begin begins the tick of that time. counted says that what was counted since the last one is
// known.
func (t *trendKeeper) begin(at time.Time, counted bool) {
	since := at.Sub(t.last)
	if t.last.IsZero() || since < 0 || since > t.step*time.Duration(t.steps) {
		t.seconds, t.families, t.processes = []float64{0}, map[string][]float64{}, map[string][]float64{}
		t.end = at.Truncate(t.step).Add(t.step)
		since = 0
	}
	for ; !at.Before(t.end); t.end = t.end.Add(t.step) {
		if t.seconds[len(t.seconds)-1] == 0 && since > longestTick {
			t.seconds[len(t.seconds)-1] = math.NaN()
		}
		t.seconds = append(t.seconds, 0)
		t.seconds = t.seconds[max(0, len(t.seconds)-t.steps):]
		for _, lines := range []map[string][]float64{t.families, t.processes} {
			for name, line := range lines {
				line = append(line, 0)
				if lines[name] = line[max(0, len(line)-t.steps):]; slices.Max(line) == 0 {
					delete(lines, name)
				}
			}
		}
	}
	if counted && since <= longestTick {
		t.seconds[len(t.seconds)-1] += since.Seconds()
	}
	t.last = at
}

// add notes what a process has counted since the last tick.
func (t *trendKeeper) add(family, key string, by float64) {
	if by <= 0 || t.seconds[len(t.seconds)-1] == 0 {
		return
	}
	to := func(lines map[string][]float64, name string) {
		line := lines[name]
		if line == nil {
			line = make([]float64, len(t.seconds), t.steps+8)
			lines[name] = line
		}
		line[len(line)-1] += by
	}
	to(t.families, family)
	to(t.processes, key)
}

// trends returns the rates.
func (t *trendKeeper) trends() Trends {
	out := Trends{Step: t.step, Steps: len(t.seconds), End: t.last, Families: map[string][]float64{}, Processes: map[string][]float64{}}
	if n := len(t.seconds); n > 0 && t.seconds[n-1] == 0 {
		out.Steps-- // the current one has not begun
	}
	rates := func(from, to map[string][]float64) {
		for name, sums := range from {
			line := make([]float64, out.Steps)
			for i := range line {
				switch seconds := t.seconds[i]; {
				case seconds != 0:
					line[i] = sums[i] / seconds
				case i > 0: // the ticks were early or late
					line[i] = line[i-1]
				}
			}
			to[name] = line
		}
	}
	rates(t.families, out.Families)
	rates(t.processes, out.Processes)
	return out
}

// replay adds what files have of the time that is kept.
func (t *trendKeeper) replay(files []*loaded) {
	var end time.Time
	for _, f := range files {
		for _, tick := range f.ticks {
			if at := timeOf(tick); at.After(end) {
				end = at
			}
		}
	}
	from := end.Add(-t.step * time.Duration(t.steps))
	if len(files) > 1 && len(files[1].ticks) > 0 && files[1].name != tailName && !timeOf(files[1].ticks[0]).After(from) {
		files = files[1:] // each begins with everything
	}
	var counts []float64
	each(files, func(s *State) bool {
		if s.begins {
			counts = counts[:0]
		}
		later := !s.Time.Before(from)
		if later {
			t.begin(s.Time, !s.begins)
		}
		for i, one := range s.own {
			now := math.Float64frombits(s.last[one.first])
			if i == len(counts) {
				counts = append(counts, 0)
			}
			if later && !s.begins && !one.gone {
				key, _ := one.Labels.Get(labelKey)
				t.add(one.Family.Name, key, now-counts[i])
			}
			counts[i] = now
		}
		return true
	})
}
