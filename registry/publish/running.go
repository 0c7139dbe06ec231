package publish

// running turns a cumulative value of the source, which begins again when its
// owner does, into one of the store, which must neither fall nor count twice:
// stored = offset + last, in wrapping arithmetic for counts.
type running[T uint64 | float64] struct{ last, offset T }

// next returns what to store for the source's value v.
func (r *running[T]) next(v T) T {
	r.last = v
	return r.offset + v
}

// restart notes that the source's next value has begun at zero again: what was
// stored stays below it.
func (r *running[T]) restart() { r.offset += r.last }

// revive notes that the value goes to a new series, which begins at zero: what
// was stored before is in the one that was removed.
func (r *running[T]) revive() { r.offset = -r.last }
