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
	"github.com/multiprom/multiprom/internal/mpm"
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

	changes map[string]uint64 // series that were found changed since the first look, by family
	survey  survey
}

// fileActivity is what is known of one file.
type fileActivity struct {
	seen    time.Time // of the first reading
	changed time.Time // of the last reading that found a change; zero if none has

	lives bool // its process lived when slots were assigned
	slot  int  // of its process, if that lived

	version  fileVersion
	counted  fileTotals // of a file of our own format
	totals   []inspect.Total
	moved    bool   // what is counted may have changed since totals were made
	surveyed uint64 // number of the survey that they were made with
}

// fileVersion changes when the series of a file do.
type fileVersion struct{ epoch, series int }

// note remembers what a reading of the file has found, before its changes are put into the
// file's values.
func (a *activity) note(f *snapshot.File, d *snapshot.Delta, now time.Time) {
	if !f.Known {
		return
	}
	known := a.files[f]
	if known == nil {
		if a.files == nil {
			a.files = map[*snapshot.File]*fileActivity{}
		}
		known = &fileActivity{seen: now, moved: true}
		a.files[f] = known
		return // a first reading has no change
	}
	if worked(f, d) {
		known.changed = now
	}
	if f.Python != nil {
		known.version = fileVersion{f.Epoch, len(f.Python.Records())}
		known.moved = known.moved || f.Changed
		return
	}
	if known.version.epoch = f.Epoch; !d.Live.Same() {
		known.version.series++
	}
	known.moved = known.moved || !d.Live.Same() || !d.Regions.Same() || len(d.Live.Changes)+len(d.Regions.Changes) > 0
	known.counted.follow(f, d, func(s *metric.Schema, n int) { a.changes[s.Name] += uint64(n) })
}

// forget drops files that are gone.
func (a *activity) forget(gone []*snapshot.File) {
	for _, f := range gone {
		delete(a.files, f)
	}
}

// worked reports whether the reading has found a change that is the program's own.
func worked(f *snapshot.File, d *snapshot.Delta) bool {
	if f.Python != nil {
		return f.Changed
	}
	loud := func(series int) bool { return !isQuiet(f.Series.Schema(series)) }
	return d.Live.Reset ||
		slices.ContainsFunc(d.Live.Changes, func(c mpm.Change) bool { return loud(f.Series.NumberAt(c.At)) }) ||
		slices.ContainsFunc(d.Regions.Changes, func(c mpm.Change) bool {
			owner := int(f.RegionOwners[c.At/histogram.RegionBuckets])
			return owner >= 0 && loud(owner)
		}) ||
		slices.ContainsFunc(d.Live.Added, func(r mpm.NumberRange) bool {
			for i := r.First; i < min(r.First+r.N, f.Series.Len()); i++ {
				if loud(i) {
					return true
				}
			}
			return false
		})
}

// isQuiet reports whether series of the schema change even if the program is stuck: package
// publish writes those of the Go runtime and of the process every few seconds.
func isQuiet(s *metric.Schema) bool {
	return strings.HasPrefix(s.Name, "go_") || strings.HasPrefix(s.Name, "process_")
}

// processActivity returns the processes, with their slots.
func (a *Aggregator) processActivity() []inspect.Process {
	all := processesOf(a.snapshot.Files)
	a.activity.assign(all)
	out := make([]inspect.Process, len(all))
	for i, p := range all {
		o := &out[i]
		*o = inspect.Process{
			Key: p.key, Label: p.Label, ID: p.id, PID: p.PID, Kind: string(p.Kind), State: string(p.State), Slot: p.slot,
			Created: p.Created, StartTime: p.StartTime, PIDNamespace: p.PIDNamespace, Files: p.Files, Series: p.Series, Bytes: p.Bytes,
		}
		for _, f := range p.files {
			known := a.activity.files[f]
			if known == nil {
				continue
			}
			known.lives, known.slot = p.State == Live, p.slot
			if o.Seen.IsZero() || known.seen.Before(o.Seen) {
				o.Seen = known.seen
			}
			if known.changed.After(o.Changed) {
				o.Changed = known.changed
			}
		}
	}
	return out
}

// assign gives each living process a slot: the number that its process ID is, as a supervisor
// with Options.ProcessIDBySlot has it, or the lowest free one. A process keeps it until its
// end, and then the next process may get it, so there are as many slots as processes that
// lived at the same time.
func (a *activity) assign(all []*processFiles) {
	kept, taken := map[string]int{}, map[int]bool{}
	take := func(p *processFiles, slot int) {
		p.slot, kept[p.key], taken[slot] = slot, slot, true
	}
	for _, p := range all {
		if slot, ok := a.slots[p.key]; ok && p.State == Live {
			take(p, slot)
		}
	}
	for _, p := range all { // a new process takes the slot of its ID, if that is free
		slot, err := strconv.Atoi(p.id)
		if p.State == Live && p.slot < 0 && err == nil && slot != p.PID && slot >= 0 && slot < maxSlots && !taken[slot] {
			take(p, slot)
		}
	}
	next := 0
	for _, p := range all {
		if p.State != Live || p.slot >= 0 {
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

// slotsHold reports whether every living process has its slot.
func (a *activity) slotsHold(files []*snapshot.File) bool {
	return !slices.ContainsFunc(files, func(f *snapshot.File) bool {
		known := a.files[f]
		return known != nil && known.lives != (stateOfProcess(f) == Live)
	})
}

// unchanged puts into a.self how long ago the values of each living process were last seen to
// change, or since when they are watched, if nothing has changed. The series are in order.
func (a *Aggregator) unchanged(now time.Time) {
	if !a.activity.slotsHold(a.snapshot.Files) {
		a.processActivity()
	}
	var last []time.Time // by slot
	for _, f := range a.snapshot.Files {
		known := a.activity.files[f]
		if known == nil || !known.lives {
			continue
		}
		if n := known.slot + 1 - len(last); n > 0 {
			last = append(last, make([]time.Time, n)...)
		}
		if at := cmp.Or(known.changed, known.seen); at.After(last[known.slot]) {
			last[known.slot] = at
		}
	}
	m := &a.self
	m.labels, m.values = m.labels[:0], m.values[:0]
	for _, s := range slotLabels() {
		if s.slot < len(last) && !last[s.slot].IsZero() {
			m.labels, m.values = append(m.labels, s.labels), append(m.values, max(0, now.Sub(last[s.slot]).Seconds()))
		}
	}
	if len(last) > maxSlots {
		longest := 0.0
		for _, at := range last[maxSlots:] {
			if !at.IsZero() {
				longest = max(longest, now.Sub(at).Seconds())
			}
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
func (a *Aggregator) look(ctx context.Context, fn func(inspect.Sight, error)) {
	a.scrape(ctx, func(families []views.Family, err error) {
		if err != nil {
			fn(inspect.Sight{}, err)
			return
		}
		if a.activity.changes == nil {
			a.activity.changes = map[string]uint64{}
		}
		sight := inspect.Sight{
			Families: families, Schemas: a.survey().families, Processes: a.processActivity(), Changes: a.activity.changes, Values: a.valuesOf,
			ArchiveBytes: a.snapshot.Archive.Bytes, Compacted: a.snapshot.Archive.Compacted,
		}
		a.addTotals(sight.Processes)
		fn(sight, nil)
	})
}
