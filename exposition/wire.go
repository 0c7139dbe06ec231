package exposition

import (
	"encoding/binary"
	"math"
)

// message is a protobuf message under construction. Methods append its wire format:
// varints, 64-bit values and length-delimited fields ("Encoding" in the Protocol
// Buffers documentation).
type message struct{ buf []byte }

// Wire types.
const (
	wireVarint = 0
	wire64     = 1
	wireBytes  = 2
)

// tag writes the key of a field with a number below 16: one byte.
func (m *message) tag(field, wireType int) { m.buf = append(m.buf, byte(field<<3|wireType)) }

func (m *message) uint(field int, v uint64) {
	m.tag(field, wireVarint)
	m.buf = binary.AppendUvarint(m.buf, v)
}

func (m *message) double(field int, v float64) {
	m.tag(field, wire64)
	m.buf = binary.LittleEndian.AppendUint64(m.buf, math.Float64bits(v))
}

func (m *message) text(field int, s string) {
	m.tag(field, wireBytes)
	m.buf = binary.AppendUvarint(m.buf, uint64(len(s)))
	m.buf = append(m.buf, s...)
}

// open starts a nested message and returns its position, for close.
func (m *message) open(field int) int {
	m.tag(field, wireBytes)
	return m.begin()
}

// begin starts something that has its length in front of it. It leaves one byte for the
// length, which is usually enough.
func (m *message) begin() int {
	m.buf = append(m.buf, 0)
	return len(m.buf)
}

// close fills in the length, and makes room for it if it needs more bytes.
func (m *message) close(start int) {
	n := len(m.buf) - start
	if n < 1<<7 {
		m.buf[start-1] = byte(n)
		return
	}
	var length [binary.MaxVarintLen64]byte
	size := binary.PutUvarint(length[:], uint64(n))
	m.buf = append(m.buf, length[1:size]...) // as many bytes as are missing
	copy(m.buf[start-1+size:], m.buf[start:start+n])
	copy(m.buf[start-1:], length[:size])
}
