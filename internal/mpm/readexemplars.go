package mpm

import "fmt"

// exemplarAt is an exemplar record.
type exemplarAt struct {
	record, series wordOffset
	bucket         uint32
	sealed         uint64 // checksum and state
	words          []uint64
}

// still reports whether the record is what it was when it was read.
func (e *exemplarAt) still(b []byte) bool {
	rec := b[e.record%blockWords*8:]
	return loadWord(rec, offRecCRC) == e.sealed && loadWord(rec, offExeSeries) == uint64(e.series)|uint64(e.bucket)<<32
}

// exemplar reads the record of an exemplar.
func (p *parser) exemplar(w *walk, rec []byte, sealed uint64, at wordOffset) error {
	if len(rec) < offExeHalves+2*8*halfLabels || (len(rec)-offExeHalves)%16 != 0 {
		return fmt.Errorf("an exemplar record of %d bytes", len(rec))
	}
	var head [offExeSequence]byte
	for off := 0; off < len(head); off += 8 {
		le.PutUint64(head[off:], loadWord(rec, uint64(off)))
	}
	switch {
	case loadWord(rec, offRecCRC) != sealed || le.Uint64(head[offRecCRC:]) != sealed:
		return errWritten
	case recordCRC(head[:]) != le.Uint32(head[offRecCRC:]):
		return errChecksum
	}
	w.exemplars = append(w.exemplars, exemplarAt{
		record: at, series: wordOffset(le.Uint32(head[offExeSeries:])), bucket: le.Uint32(head[offExeBucket:]),
		sealed: sealed, words: words(rec, offExeSequence, (len(rec)-offExeSequence)/8),
	})
	return nil
}

// findExemplars finds the exemplars of live series.
func (p *parser) findExemplars() {
	p.exemplars, p.misfits = p.exemplars[:0], content{}
	for i := range p.known {
		for _, e := range p.known[i].exemplars {
			s, ok := p.seriesAt(e.series)
			// Its record may have become free since it was read, and a new series may have the
			// place of its series.
			if !ok || s.removed() || s.region() || p.gone(s) || !e.still(p.blocks[i]) {
				continue
			}
			schema := p.live.schemas[p.live.records.all[s.number()].schema]
			if count := exemplarCount(schema); uint64(e.bucket) >= uint64(count) {
				p.damageAt(&p.misfits, i, uint64(e.record%blockWords)*8, "an exemplar number %d of a series of %s, which has %d", e.bucket, schema.Name, count)
				continue
			}
			p.exemplars = append(p.exemplars, ExemplarInfo{
				Series: int(s.number()), Bucket: int(e.bucket), cells: exemplarCells{record: e.record, words: e.words},
			})
		}
	}
}
