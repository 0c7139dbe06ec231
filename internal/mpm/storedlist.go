package mpm

import (
	"bytes"
	"fmt"
	"math"
	"time"
	"unsafe"

	"github.com/multiprom/multiprom/internal/openmetrics"
	"github.com/multiprom/multiprom/metric"
)

// StoredSeries is one series of the archive.
type StoredSeries struct {
	Labels  metric.Labels
	Process int   // index in Processes, or -1 if the series belongs to no single process
	Created int64 // nanoseconds since 1970
	Active  int64 // likewise, when it was active last; 0 unless the list is Timed
	// Words are the values in the archive's form (docs/format.md), which differs from a
	// native file's.
	Words []uint64
	// Exemplars of a counter or of a histogram's buckets.
	Exemplars []metric.Exemplar
}

// StoredList is a list of encoded series of one schema. It decodes a series on demand, and
// has no pointers that the garbage collector must follow. The zero value is empty.
type StoredList struct {
	Timed    bool // its series have Active. It is set before the first one is added
	raw      []byte
	at       []storedPlace
	tooLarge bool // too large to be encoded
}

// storedPlace has the offsets of a series and its words in raw.
type storedPlace struct{ series, words uint32 }

// maxStoredList is the largest offset that fits a storedPlace.
const maxStoredList = math.MaxUint32

// Offsets in a series of the archive.
const (
	offArcSeriesProcess = 0
	offArcSeriesCreated = 4
	offArcSeriesActive  = 12 // only in a list that is Timed
	offArcSeriesLabels  = 12 // otherwise: their number, then the labels
)

// Len returns the number of series.
func (l *StoredList) Len() int { return len(l.at) }

// Add appends a series. If it cannot be encoded, Dir.StageArchive returns an error.
func (l *StoredList) Add(s StoredSeries) {
	if l.tooLarge {
		return
	}
	at := storedPlace{series: uint32(len(l.raw))}
	e := encoder{b: l.raw}
	e.u32(s.Process + 1)
	e.u64(uint64(s.Created))
	if l.Timed {
		e.u64(uint64(s.Active))
	}
	e.labelSet(s.Labels)
	at.words = uint32(len(e.b))
	e.u32(len(s.Words))
	for _, w := range s.Words {
		e.u64(w)
	}
	e.u32(len(s.Exemplars))
	for i := range s.Exemplars {
		x := &s.Exemplars[i]
		e.u64(uint64(x.Timestamp.UnixNano()))
		e.u64(math.Float64bits(x.Value))
		e.labelSet(x.Labels)
	}
	if uint64(len(e.b)) > maxStoredList {
		l.tooLarge = true
		return
	}
	l.raw, l.at = e.b, append(l.at, at)
}

// At returns series i.
func (l *StoredList) At(i int) StoredSeries {
	return StoredSeries{
		Labels: l.AppendLabels(nil, i), Process: l.Process(i), Created: l.Created(i), Active: l.Active(i), Words: l.AppendWords(nil, i), Exemplars: l.Exemplars(i),
	}
}

// Process is StoredSeries.Process of series i.
func (l *StoredList) Process(i int) int {
	return int(le.Uint32(l.raw[l.at[i].series+offArcSeriesProcess:])) - 1
}

// Created is StoredSeries.Created of series i.
func (l *StoredList) Created(i int) int64 {
	return int64(le.Uint64(l.raw[l.at[i].series+offArcSeriesCreated:]))
}

// Active is StoredSeries.Active of series i.
func (l *StoredList) Active(i int) int64 {
	if !l.Timed {
		return 0
	}
	return int64(le.Uint64(l.raw[l.at[i].series+offArcSeriesActive:]))
}

// AppendLabels appends the labels of series i, which share the memory of the list.
func (l *StoredList) AppendLabels(dst metric.Labels, i int) metric.Labels {
	off := uint32(offArcSeriesLabels)
	if l.Timed {
		off += 8
	}
	d := archiveDecoder{decoder{b: l.raw[l.at[i].series+off : l.at[i].words]}}
	str := func() string {
		b := d.bytes()
		return unsafe.String(unsafe.SliceData(b), len(b))
	}
	for range d.u32() {
		dst = append(dst, metric.Label{Name: str(), Value: str()})
	}
	return dst
}

// AppendWords appends the words of series i.
func (l *StoredList) AppendWords(dst []uint64, i int) []uint64 {
	b := l.raw[l.at[i].words:]
	for n := range int(le.Uint32(b)) {
		dst = append(dst, le.Uint64(b[4+8*n:]))
	}
	return dst
}

// Exemplars is StoredSeries.Exemplars of series i.
func (l *StoredList) Exemplars(i int) (out []metric.Exemplar) {
	b := l.raw[l.at[i].words:]
	d := archiveDecoder{decoder{b: b[4+8*int(le.Uint32(b)):]}}
	for range d.u32() {
		out = append(out, metric.Exemplar{
			Timestamp: time.Unix(0, int64(d.u64())), Value: math.Float64frombits(d.u64()), Labels: d.labelSet(),
		})
	}
	return out
}

// list reads n series and checks them.
func (d *archiveDecoder) list(n int, timed bool, schema *metric.Schema, processes int) (l StoredList, err error) {
	if l.Timed = timed; n == 0 {
		return l, nil
	}
	l.raw, l.at = d.b, make([]storedPlace, n)
	taken := func() int { return len(l.raw) - len(d.b) }
	here := func() uint32 {
		d.bad = d.bad || uint64(taken()) > maxStoredList
		return uint32(taken())
	}
	var labels metric.Labels
	for i := range l.at {
		l.at[i].series = here()
		process := int(d.u32()) - 1
		d.u64()
		if timed {
			d.u64()
		}
		d.skipLabels()
		l.at[i].words = here()
		d.take(8 * d.count(8))
		exemplars := d.count(20)
		for range exemplars {
			d.take(16)
			d.skipLabels()
		}
		if d.bad {
			return l, errShortRecord
		}
		if process >= processes {
			return l, fmt.Errorf("a series of %s is of process %d of %d", schema.Name, process, processes)
		}
		if labels = l.AppendLabels(labels[:0], i); !ascending(labels) {
			return l, fmt.Errorf("the labels of a series of %s are not sorted", schema.Name)
		}
		if exemplars == 0 {
			continue
		}
		for _, x := range l.Exemplars(i) {
			if err := openmetrics.CheckExemplar(x.Labels); err != nil {
				return l, fmt.Errorf("an exemplar of a series of %s: %w", schema.Name, err)
			}
		}
	}
	l.raw = bytes.Clone(l.raw[:taken()]) // otherwise it would keep the whole file in memory
	return l, nil
}

// skipLabels skips a set of labels.
func (d *archiveDecoder) skipLabels() {
	for range 2 * d.count(2) {
		d.bytes()
	}
}
