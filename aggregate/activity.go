package aggregate

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/multiprom/multiprom/aggregate/internal/snapshot"
	"github.com/multiprom/multiprom/internal/histogram"
	"github.com/multiprom/multiprom/internal/inspect"
	"github.com/multiprom/multiprom/internal/views"
	"github.com/multiprom/multiprom/metric"
)

// activity is when the values of each process were last seen to change. Writers say nothing
// of it: an update is one atomic add. A reader compares the values with those of its last
// reading anyway, so it knows which processes have changed something in between. The times are
// as exact as readings are frequent.
type activity struct {
	files map[*snapshot.File]*fileActivity
	slots map[string]int // of living processes, by key

	watched bool // somebody has looked at the activity, so changes are counted too
	changes map[string]uint64
}

// fileActivity is what is known of one file.
type fileActivity struct {
	seen    time.Time // of the first reading
	changed time.Time // of the last reading that found a change; zero if none has

	lives bool // its process lived when slots were assigned
	slot  int  // of its process, if that lived

	quiet quiet
}

// note remembers what a reading of the file has found.
func (a *activity) note(f *snapshot.File, d *snapshot.Delta, now time.Time) {
	if !f.Known {
		return
	}
	known := a.files[f]
	if known == nil {
		if a.files == nil {
			a.files = map[*snapshot.File]*fileActivity{}
		}
		known = &fileActivity{seen: now}
		a.files[f] = known
		return // a first reading has no change
	}
	if known.worked(f, d) {
		known.changed = now
	}
	if a.watched {
		a.count(f, d)
	}
}

// count counts the series that have changed, by family.
func (a *activity) count(f *snapshot.File, d *snapshot.Delta) {
	if f.Python != nil {
		return
	}
	last := -1
	for _, c := range d.Live.Changes {
		if n := f.Series.NumberAt(c.At); n != last { // a histogram changes in several words
			a.changes[f.Series.Schema(n).Name]++
			last = n
		}
	}
}

// forget drops files that are gone.
func (a *activity) forget(gone []*snapshot.File) {
	for _, f := range gone {
		delete(a.files, f)
	}
}

// worked reports whether the reading has found a change that is the program's own.
func (k *fileActivity) worked(f *snapshot.File, d *snapshot.Delta) bool {
	if f.Python != nil {
		return f.Changed
	}
	k.quiet.extend(f)
	if d.Live.Reset {
		return true
	}
	for _, c := range d.Live.Changes {
		if !k.quiet.has(c.At) {
			return true
		}
	}
	for _, c := range d.Regions.Changes {
		if owner := f.RegionOwners[c.At/histogram.RegionBuckets]; owner >= 0 && !isQuiet(f.Series.Schema(int(owner))) {
			return true
		}
	}
	for _, r := range d.Live.Added {
		for i := r.First; i < min(r.First+r.N, f.Series.Len()); i++ {
			if !isQuiet(f.Series.Schema(i)) {
				return true
			}
		}
	}
	return false
}

// isQuiet reports whether series of the schema change even if the program is stuck: package
// publish writes those of the Go runtime and of the process every few seconds.
func isQuiet(s *metric.Schema) bool {
	return strings.HasPrefix(s.Name, "go_") || strings.HasPrefix(s.Name, "process_")
}

// quiet is where the values of such series are. They keep their positions until the file's
// Epoch changes.
type quiet struct {
	epoch, series, end int
	ranges             [][2]int // from, to
}

// extend takes in the series that are new since the last call.
func (q *quiet) extend(f *snapshot.File) {
	if q.epoch != f.Epoch {
		*q = quiet{epoch: f.Epoch}
	}
	if q.series < f.Series.Len() && q.series == 0 {
		q.end = f.Series.Position(0)
	}
	for ; q.series < f.Series.Len(); q.series++ {
		from := q.end
		if q.end += f.Series.ValuesOf(q.series); !isQuiet(f.Series.Schema(q.series)) {
			continue
		}
		if last := len(q.ranges) - 1; last >= 0 && q.ranges[last][1] == from {
			q.ranges[last][1] = q.end
		} else {
			q.ranges = append(q.ranges, [2]int{from, q.end})
		}
	}
}

func (q *quiet) has(position int) bool {
	i, _ := slices.BinarySearchFunc(q.ranges, position, func(r [2]int, position int) int { return cmp.Compare(r[1], position+1) })
	return i < len(q.ranges) && q.ranges[i][0] <= position
}

// processes returns the processes, with their slots.
func (a *Aggregator) processActivity() []inspect.Process {
	byKey := map[string]*inspect.Process{}
	var out []*inspect.Process
	for _, f := range a.snapshot.Files {
		if !f.Known {
			continue
		}
		h := &f.Header
		key, state, kind := keyOf(f), stateOfProcess(f), Native
		if f.Python != nil {
			kind = Python
			if state = Live; !f.Live {
				state = Dead
			}
			if f.Python.Ruby() {
				kind = Ruby
			}
		}
		p := byKey[key]
		if p == nil {
			p = &inspect.Process{
				Key: key, Label: cmp.Or(f.Label, h.Label), ID: h.Label, PID: h.PID, Kind: string(kind), State: string(state), Slot: -1,
				StartTime: h.StartTime, PIDNamespace: h.PIDNamespace,
			}
			if f.Python == nil {
				p.Created = h.Created
			} else {
				p.PID, _ = strconv.Atoi(h.Label)
			}
			byKey[key] = p
			out = append(out, p)
		}
		p.Files = append(p.Files, f.Name)
		p.Series += f.Size()
		p.Bytes += f.Bytes
		if known := a.activity.files[f]; known != nil {
			if p.Seen.IsZero() || known.seen.Before(p.Seen) {
				p.Seen = known.seen
			}
			if known.changed.After(p.Changed) {
				p.Changed = known.changed
			}
		}
	}
	a.activity.assign(out)
	for _, f := range a.snapshot.Files {
		if known := a.activity.files[f]; known != nil {
			known.lives, known.slot = lives(f), byKey[keyOf(f)].Slot
		}
	}
	sorted := make([]inspect.Process, len(out))
	for i, p := range out {
		sorted[i] = *p
	}
	return sorted
}

// keyOf returns what files of one process have in common, and of no other. A process of
// client_python whose files were set aside is another one than a living one of its ID.
func keyOf(f *snapshot.File) string {
	switch {
	case f.Python == nil:
		return f.Name
	case f.Live:
		return "python " + f.Header.Label
	}
	return deadPython + "python " + f.Header.Label
}

const deadPython = "dead "

// assign gives each living process a slot: the number that its process ID is, as a supervisor
// with Options.ProcessIDBySlot has it, or the lowest free one. A process keeps it until its
// end, and then the next process may get it, so there are as many slots as processes that
// lived at the same time.
func (a *activity) assign(all []*inspect.Process) {
	lives := func(p *inspect.Process) bool { return p.State == string(Live) }
	kept, taken := map[string]int{}, map[int]bool{}
	take := func(p *inspect.Process, slot int) {
		p.Slot, kept[p.Key], taken[slot] = slot, slot, true
	}
	for _, p := range all {
		if slot, ok := a.slots[p.Key]; ok && lives(p) {
			take(p, slot)
		}
	}
	for _, p := range all { // a new process takes the slot of its ID, if that is free
		slot, err := strconv.Atoi(p.ID)
		if lives(p) && p.Slot < 0 && err == nil && slot != p.PID && slot >= 0 && slot < maxSlots && !taken[slot] {
			take(p, slot)
		}
	}
	next := 0
	for _, p := range all {
		if !lives(p) || p.Slot >= 0 {
			continue
		}
		for taken[next] {
			next++
		}
		take(p, next)
	}
	a.slots = kept
}

// maxSlots bounds the series of multiprom_process_unchanged_seconds. Processes beyond it
// share one.
const maxSlots = 256

// lives reports whether a file's process lives.
func lives(f *snapshot.File) bool {
	if f.Python != nil {
		return f.Live
	}
	return stateOfProcess(f) == Live
}

// slotsHold reports whether every living process has its slot.
func (a *activity) slotsHold(files []*snapshot.File) bool {
	return !slices.ContainsFunc(files, func(f *snapshot.File) bool {
		known := a.files[f]
		return known != nil && known.lives != lives(f)
	})
}

// unchanged puts into a.self how long ago the values of each living process were last seen to
// change, or since when they are watched, if nothing has changed. The series are in order.
func (a *Aggregator) unchanged(now time.Time) {
	if !a.activity.slotsHold(a.snapshot.Files) {
		a.processActivity()
	}
	var last [maxSlots]time.Time
	others := map[int]time.Time{} // by slot
	for _, f := range a.snapshot.Files {
		known := a.activity.files[f]
		if known == nil || !known.lives {
			continue
		}
		at := known.changed
		if at.IsZero() {
			at = known.seen
		}
		switch slot := known.slot; {
		case slot >= maxSlots && at.After(others[slot]):
			others[slot] = at
		case slot < maxSlots && at.After(last[slot]):
			last[slot] = at
		}
	}
	m := &a.self
	m.labels, m.values = m.labels[:0], m.values[:0]
	for _, s := range slotLabels() {
		if at := last[s.slot]; !at.IsZero() {
			m.labels, m.values = append(m.labels, s.labels), append(m.values, max(0, now.Sub(at).Seconds()))
		}
	}
	if len(others) > 0 {
		longest := 0.0
		for _, at := range others {
			longest = max(longest, now.Sub(at).Seconds())
		}
		m.labels, m.values = append(m.labels, metric.MakeLabels("slot", "other")), append(m.values, longest)
	}
}

// slotLabel is a slot with its labels.
type slotLabel struct {
	slot   int
	labels metric.Labels
}

// slotLabels returns all slots below maxSlots, in the order of their labels.
var slotLabels = sync.OnceValue(func() (out []slotLabel) {
	for slot := range maxSlots {
		out = append(out, slotLabel{slot, metric.MakeLabels("slot", strconv.Itoa(slot))})
	}
	slices.SortFunc(out, func(a, b slotLabel) int { return a.labels.Compare(b.labels) })
	return out
})

// look is inspect.Look.
func (a *Aggregator) look(ctx context.Context, opts inspect.LookOptions, fn func(inspect.Sight, error)) {
	a.scrape(ctx, true, func(families []views.Family, err error) {
		if err != nil {
			fn(inspect.Sight{}, err)
			return
		}
		sight := inspect.Sight{
			Families: families, Processes: a.processActivity(), Values: a.valuesOf,
			ArchiveBytes: a.snapshot.Archive.Bytes, Compacted: a.snapshot.Archive.Compacted,
		}
		if opts.Schemas {
			if !a.activity.watched {
				a.activity.watched, a.activity.changes = true, map[string]uint64{}
			}
			sight.Schemas, sight.Changes = a.census(), a.activity.changes
		}
		a.addTotals(sight.Processes, opts.Bytes)
		fn(sight, nil)
	})
}
