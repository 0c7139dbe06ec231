package publish

// running turns a cumulative value of the source, which may begin again at 0, into one of
// the store, which must never fall and never count twice: stored = offset + last, in
// wrapping arithmetic for counts.
type running[T uint64 | float64] struct{ last, offset T }

// next returns what to store for the source's value v.
func (r *running[T]) next(v T) T {
	r.last = v
	return r.offset + v
}

// restart notes that the source's next value has begun at 0 again. What was stored is added
// to it.
func (r *running[T]) restart() { r.offset += r.last }

// revive notes that the value goes to a new series, which begins at 0. The removed one has
// what was stored before.
func (r *running[T]) revive() { r.offset = -r.last }
