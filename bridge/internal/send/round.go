package send

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"time"
)

// Batch is the body of one request.
type Batch struct {
	Form    byte // what the body is; the Encoder says
	Samples int
	Body    []byte // compressed
}

// Round is one view as batches. A Round that is used again allocates nothing once its memory
// is large enough.
type Round struct {
	Time    time.Time
	Read    time.Time // when the view was there; a series may have begun between Time and Read
	Since   time.Time // of the last round that the receiver has answered; zero if there is none
	Batches []Batch
	arena   []byte // of the bodies
}

// Reset empties the round.
func (r *Round) Reset(at time.Time) {
	r.Time, r.Batches, r.arena = at, r.Batches[:0], r.arena[:0]
}

// Add adds a batch. appendBody appends its body.
func (r *Round) Add(form byte, samples int, appendBody func(dst []byte) []byte) {
	from := len(r.arena)
	r.arena = appendBody(r.arena)
	// A body of an earlier batch stays valid when the arena moves: it points to the old one.
	r.Batches = append(r.Batches, Batch{Form: form, Samples: samples, Body: r.arena[from:len(r.arena):len(r.arena)]})
}

// Samples returns the number of samples from batch number i on.
func (r *Round) Samples(i int) (n int) {
	for _, b := range r.Batches[i:] {
		n += b.Samples
	}
	return n
}

// A stored round is a checksum and: the time in milliseconds, the number of batches, for each
// its form, samples and length, then the bodies.

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var errStored = errors.New("a round in the queue is damaged")

// appendStored appends the round as the queue has it.
func (r *Round) appendStored(dst []byte) []byte {
	at := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	dst = binary.AppendVarint(dst, r.Time.UnixMilli())
	dst = binary.AppendUvarint(dst, uint64(len(r.Batches)))
	for _, b := range r.Batches {
		dst = append(dst, b.Form)
		dst = binary.AppendUvarint(dst, uint64(b.Samples))
		dst = binary.AppendUvarint(dst, uint64(len(b.Body)))
	}
	for _, b := range r.Batches {
		dst = append(dst, b.Body...)
	}
	binary.LittleEndian.PutUint32(dst[at:], crc32.Checksum(dst[at+4:], castagnoli))
	return dst
}

// load sets the round to a stored one, of which it keeps a copy.
func (r *Round) load(stored []byte) error {
	if len(stored) < 4 || binary.LittleEndian.Uint32(stored) != crc32.Checksum(stored[4:], castagnoli) {
		return errStored
	}
	r.Reset(time.Time{})
	r.arena = append(r.arena, stored[4:]...)
	rest, sound := r.arena, true
	number := func() int {
		n, size := binary.Uvarint(rest)
		if size <= 0 || n > 1<<40 {
			sound = false
			return 0
		}
		rest = rest[size:]
		return int(n)
	}
	ms, size := binary.Varint(rest)
	if size <= 0 {
		return errStored
	}
	rest = rest[size:]
	r.Time = time.UnixMilli(ms)
	count := number()
	var lengths []int
	for range count {
		if len(rest) == 0 || !sound {
			return errStored
		}
		form := rest[0]
		rest = rest[1:]
		r.Batches = append(r.Batches, Batch{Form: form, Samples: number()})
		lengths = append(lengths, number())
	}
	for i, n := range lengths {
		if !sound || n > len(rest) {
			return errStored
		}
		r.Batches[i].Body, rest = rest[:n:n], rest[n:]
	}
	if len(rest) > 0 || !sound {
		return errStored
	}
	return nil
}
