package table

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/multiprom/multiprom/aggregate/internal/snapshot"
	"github.com/multiprom/multiprom/aggregate/internal/sum"
	"github.com/multiprom/multiprom/internal/lifetime"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/internal/pyfile"
	"github.com/multiprom/multiprom/metric"
)

// Table holds the merged series between scrapes. See the package comment.
type Table struct {
	processLabel string
	byName       map[string]*family
	sorted       []*family          // by name
	taken        map[string]*family // by sample name: the family that has it
	clashed      map[string]bool    // names that are left out, because another family has a sample of that name
	rivals       bool               // some name has schemas that do not merge
	conflicts    uint64             // series that have been left out so far
	topology     topology           // what the schemas were chosen for
	rechosen     bool               // schemas were chosen since the last HasChosen
	archive      *snapshot.Archive  // the archive whose series are placed, or nil
	placed       []placedFamily     // by number of the archive's family
	gone         bool               // some symbols may not be in use any more
	late         bool               // a part has come that may belong to a life that is over; see retire
	python       map[*pyfile.KeySet]*pythonPlan
	parts        map[*snapshot.File]*part

	ttl    map[string]time.Duration // of families that do not have it in their files
	now    int64                    // when the last reading began, by the reader's clock
	lives  lifetime.Lives           // of the row that is being decided
	began  int64                    // now, when rows were decided last
	doubt  bool                     // see Doubts
	labels metric.Labels            // of a row

	symbols  *mpm.SymbolTable // of all files
	renewed  int              // how many symbols were in use at the last RenewSymbols
	RenewMin int              // with fewer symbols or rows, nothing is made smaller

	KeepNames bool // Plan leaves the process labels as they are: the files are a part of another table's
}

// family is one merged family. It may have millions of rows, so what every row has is in
// columns, by the number of the row.
type family struct {
	name    string
	schema  *metric.Schema // the schema that is served; its labels differ by instrument
	bounds  []float64      // of a histogram: the union over all files
	symbols *mpm.SymbolTable
	index   index
	most    int  // of a histogram: how many series it has room for
	leftOut bool // some had none

	own, ownPattern *metric.Schema // if each process has its series: the last schema, and the same with the process label

	symbol []mpm.Symbol // column: see index; 0 if the number is free
	refs   []int32      // column: how many series lead here, of files, of the archive and of plans for client_python
	free   []int32      // free numbers
	order  []int32      // all numbers in use; the first sorted of them are in the order of their labels
	sorted int
	unused bool // a row may have lost its last reference

	trimmed int // how many numbers there were at the last trim

	totals    totals
	native    *native // nil if its series have no native buckets
	recompute bool    // the totals are not the sum of all parts; the next Merge adds them up again
	acc       accumulators
	ends      ends

	exemplars   []exemplarSet // of rows that have had one
	exemplarsAt []int32       // column, as far as needed: the row's set in exemplars, counted from 1
	traced      bool          // there are exemplars

	shown shown
}

// row is one merged series. The zero row is none.
type row struct {
	family *family
	number int32
}

// nowhere is the number of a series that has no row.
const nowhere = -1

// New returns a table for files whose readers share that symbol table.
//
// ttl has times to live by name of the family. It is for series that do not have it in their
// files. They expire by when the table has last seen one of their values change.
func New(processLabel string, symbols *mpm.SymbolTable, ttl map[string]time.Duration) *Table {
	return &Table{
		processLabel: processLabel, symbols: symbols, ttl: ttl, RenewMin: 2048,
		byName: map[string]*family{}, taken: map[string]*family{}, python: map[*pyfile.KeySet]*pythonPlan{}, parts: map[*snapshot.File]*part{},
	}
}

// Follow drops the files that are gone. The caller calls it also if List has failed.
func (t *Table) Follow(s *snapshot.Snapshot, c snapshot.Changes) {
	t.now = s.Began
	for _, f := range c.Gone {
		t.forget(f)
		delete(t.parts, f)
		t.gone = true
	}
	if c.Rekeyed {
		t.rekey(s.Files)
	}
}

// Plan brings the table up to date with what the files and the archive hold now.
func (t *Table) Plan(s *snapshot.Snapshot) {
	files, arc := s.Files, s.Archive
	changed, processes := t.topology.update(files, arc)
	if changed {
		if !t.KeepNames {
			snapshot.NameProcesses(files, arc)
		}
		t.choose(files, arc)
		t.rechosen = true
		t.forgetPython()
	}
	t.measure(files, arc)
	for _, f := range files {
		t.planFile(f)
	}
	if processes || t.late {
		t.late = false
		t.unretire(files)
	}
	if t.archive != arc {
		t.forgetArchive()
		t.placeArchive(arc)
	}
	t.placeLeftOut(files)
	for _, fam := range t.byName {
		fam.trim()
	}
	t.decide(s)
	t.sweep(files)
	t.RenewSymbols(files)
}

// planFile brings the part of a file up to date with what it holds now.
func (t *Table) planFile(f *snapshot.File) {
	p := t.part(f)
	if p.epoch != f.Epoch || p.label != f.Label {
		t.forget(f)
		if p.epoch != f.Epoch {
			p.conflicts = 0
			if p.met > 0 {
				p.met = math.MaxInt // they have new numbers, and hardly any is new
			}
		}
		p.epoch, p.label = f.Epoch, f.Label
	}
	if p.live != f.Live {
		t.undecide()
		p.live = f.Live
		p.series.mark(func(s *span) bool { return sum.IsLive(s.to.schema) })
	}
	if f.Python != nil {
		t.undecide() // its series come and go without a word
		t.planPython(f)
	} else {
		t.extend(f)
	}
}

// sweep drops the rows to which nothing leads. The next Plan makes families again of which
// little is left.
func (t *Table) sweep(files []*snapshot.File) {
	for _, fam := range t.byName {
		if !fam.unused {
			continue
		}
		t.gone = true
		free := len(fam.free)
		fam.dropUnused()
		// The lowest numbers are given out first, so that series that come one after
		// the other make one span. Very many may be free for a long time.
		sortRest(fam.free, free, func(a, b int32) int { return cmp.Compare(b, a) })
		t.topology.known = t.topology.known && !t.isSparse(fam, files)
	}
}

// isSparse reports whether most of a family's numbers would not be needed if all series were
// placed again, as it is after a peak. Columns never become shorter, so a new family has new ones.
// But it would not know when values were seen to change, by which series expire whose files say
// nothing of it.
func (t *Table) isSparse(f *family, files []*snapshot.File) bool {
	if len(f.symbol) < t.RenewMin || len(f.free) < 3*len(f.order) || f.schema.TTL == 0 && len(f.ends.seen) > 0 {
		return false
	}
	parts := t.archive.Size()
	for _, file := range files {
		parts += file.Size() + file.Removed.Count()
	}
	return len(f.symbol) > 4*parts
}

// RenewSymbols drops the symbols that no series has any more, once they may be half of all.
func (t *Table) RenewSymbols(files []*snapshot.File) {
	if !t.gone {
		return
	}
	t.gone = false
	if t.symbols.Len() < max(t.RenewMin, 2*t.renewed) {
		return
	}
	lists := func(yield func(mpm.SeriesList) bool) {
		for _, f := range files {
			f.Lists(yield)
		}
	}
	t.symbols.Renew(func(yield func(*mpm.Symbol) bool) {
		mpm.Symbols(lists)(yield)
		for _, fam := range t.byName {
			for n := range fam.symbol {
				yield(&fam.symbol[n])
			}
		}
	})
	for _, fam := range t.byName {
		fam.index.bySymbol.fill(fam.symbol)
	}
	t.renewed = t.symbols.Len()
}

// forgetArchive takes the archive's series out of the table.
func (t *Table) forgetArchive() {
	if t.archive == nil {
		return
	}
	for i := range t.placed {
		p := &t.placed[i]
		for _, n := range p.rows {
			if n != nowhere {
				t.release(row{p.target, n})
			}
		}
	}
	t.archive, t.placed = nil, nil
}

// placeArchive leads the archive's series to their rows, except those of a schema that is
// not served.
func (t *Table) placeArchive(arc *snapshot.Archive) {
	t.archive, t.placed = arc, make([]placedFamily, len(arc.Loaded))
	var labels metric.Labels
	for i := range arc.Loaded {
		f, p := &arc.Loaded[i], &t.placed[i]
		if p.target = t.familyOf(f.Schema); p.target == nil {
			continue
		}
		p.bucket, p.rows = p.target.bucketsOf(f.Schema), make([]int32, f.Series.Len())
		for j := range p.rows {
			labels = f.Series.AppendLabels(labels[:0], j)
			if process := f.Series.Process(j); process >= 0 {
				labels = WithProcess(labels, metric.Label{Name: t.processLabel, Value: arc.Processes[process].Label})
			}
			to := p.target.row(labels)
			if to.family == nil {
				p.rows[j] = nowhere
				continue
			}
			p.rows[j] = to.number
			p.target.lead(to.number)
		}
	}
}

// placedFamily is where the series of a family of the archive go.
type placedFamily struct {
	target *family // nil if another schema is served
	bucket []int   // of a histogram whose bounds are not the target's: where each bucket goes
	rows   []int32 // by number of the series: its row in the target, or nowhere; empty without a target
}

// isCounted reports whether series i of a family of the archive that has a target is in
// the view.
func (t *Table) isCounted(f *snapshot.LoadedFamily, p *placedFamily, i int) bool {
	return p.rows[i] != nowhere && p.target.ends.countsStored(p.rows[i], &f.Series, i) && t.archive.IsShown(f, i)
}

// familyOf returns the family that series of that schema go to, or nil if another schema is
// served.
func (t *Table) familyOf(schema *metric.Schema) *family {
	if fam := t.byName[schema.Name]; fam != nil && sum.Compatible(fam.schema, schema) {
		return fam
	}
	return nil
}

// WithProcess adds the process label. If the metric has a label of that name itself, that
// stays, and the process label is worker_pid or, if there is one too, worker_worker_pid.
func WithProcess(labels metric.Labels, process metric.Label) metric.Labels {
	for {
		if _, own := labels.Get(process.Name); !own {
			return labels.With(process.Name, process.Value)
		}
		process.Name = "worker_" + process.Name
	}
}

// bucketsOf returns the place of each bucket of a histogram of that schema among the
// family's. It returns nil if they are the same, and for other types.
func (f *family) bucketsOf(s *metric.Schema) []int {
	if s.Type != metric.Histogram || slices.Equal(s.Bounds, f.bounds) {
		return nil
	}
	return sum.PlaceBuckets(s.Bounds, f.bounds)
}
