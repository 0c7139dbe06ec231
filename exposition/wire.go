package exposition

import (
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// message is a protobuf message under construction. Its methods append fields.
type message struct{ buf []byte }

// tag writes the key of a field, which is one byte for numbers below 16.
func (m *message) tag(field int, t protowire.Type) {
	if field > 15 {
		m.buf = protowire.AppendTag(m.buf, protowire.Number(field), t)
		return
	}
	m.buf = append(m.buf, byte(protowire.EncodeTag(protowire.Number(field), t)))
}

func (m *message) uint(field int, v uint64) {
	m.tag(field, protowire.VarintType)
	m.buf = protowire.AppendVarint(m.buf, v)
}

// sint writes a field of type sint32 or sint64.
func (m *message) sint(field int, v int64) { m.uint(field, protowire.EncodeZigZag(v)) }

func (m *message) double(field int, v float64) {
	m.tag(field, protowire.Fixed64Type)
	m.buf = protowire.AppendFixed64(m.buf, math.Float64bits(v))
}

func (m *message) text(field int, s string) {
	m.tag(field, protowire.BytesType)
	m.buf = protowire.AppendString(m.buf, s)
}

// open starts a nested message and returns its position, for close.
func (m *message) open(field int) int {
	m.tag(field, protowire.BytesType)
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
	size := protowire.SizeVarint(uint64(n))
	for range size - 1 {
		m.buf = append(m.buf, 0)
	}
	copy(m.buf[start-1+size:], m.buf[start:start+n])
	protowire.AppendVarint(m.buf[:start-1], uint64(n))
}
