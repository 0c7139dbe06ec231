package exposition

import (
	"bytes"
	"hash/crc32"
	"io"
	"sync"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zstd"

	"github.com/multiprom/multiprom/internal/views"
)

// page is a whole exposition in pieces, some of which are kept for the next one.
type page struct {
	pieces []*chunk
	done   int // bytes of the encoder's buffer that are in pieces
}

func (p *page) add(c *chunk) {
	c.senders.Add(1)
	p.pieces = append(p.pieces, c)
}

// release returns the pieces to the cache, which may change the kept ones from now on.
// A nil page has none.
func (p *page) release() {
	if p == nil {
		return
	}
	for _, c := range p.pieces {
		c.senders.Add(-1)
	}
	p.pieces = nil
}

// cut makes a piece of what was written since the last chunk.
func (e *encoder) cut() {
	if text := e.buf[e.page.done:len(e.buf):len(e.buf)]; len(text) > 0 {
		e.page.add(&chunk{text: text})
	}
	e.page.done = len(e.buf)
}

// page encodes families with the help of the cache. The page must be released after it
// was sent; if it never is, later changes cost a copy. The error is an [OmissionError].
func (c *cache) page(families []views.Family, opts Options) (*page, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.round++
	p := &page{pieces: make([]*chunk, 0, c.pieces)}
	done := false
	defer func() {
		c.pieces = len(p.pieces)
		if !done {
			clear(c.sections) // a panic may have left a chunk half changed
		}
	}()
	e := encoders.Get().(*encoder)
	e.cache, e.page, e.buf = c, p, nil // the page owns it
	err := e.encode(families, opts)
	e.cut()
	e.cache, e.page = nil, nil
	e.release()
	encoders.Put(e)
	c.sweep()
	done = true
	return p, err
}

// encoded returns the page in that coding, or uncoded if c is nil. The result belongs
// to the page and is valid until it is released; compressed parts stay valid.
func (p *page) encoded(c *coding) [][]byte {
	parts := make([][]byte, 0, len(p.pieces)+2)
	switch c {
	case gzipCoding:
		return p.appendGzip(parts)
	case zstdCoding:
		return p.appendZstd(parts)
	}
	for _, c := range p.pieces {
		parts = append(parts, c.text)
	}
	return parts
}

// compressed is a chunk's text in some coding, made when it is first needed.
type compressed struct {
	once sync.Once
	b    []byte
}

// appendGzip appends the page as one gzip member (RFC 1952). Each piece is compressed
// into blocks that refer to nothing before it and end at a whole byte. An empty last
// block ends the member.
func (p *page) appendGzip(parts [][]byte) [][]byte {
	const (
		header    = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x04\xff" // deflate, no time, the fastest level, some system
		lastBlock = "\x03\x00"
	)
	parts = append(parts, []byte(header))
	sum, size := uint32(0), uint32(0)
	for _, c := range p.pieces {
		sum, size = crc32.Update(sum, crc32.IEEETable, c.text), size+uint32(len(c.text))
		c.gzip.once.Do(func() { c.gzip.b = deflate(c.text) })
		parts = append(parts, c.gzip.b)
	}
	end := appendUint32([]byte(lastBlock), sum)
	return append(parts, appendUint32(end, size))
}

func appendUint32(dst []byte, v uint32) []byte {
	return append(dst, byte(v), byte(v>>8), byte(v>>16), byte(v>>24))
}

var flateWriters = sync.Pool{New: func() any {
	z, _ := flate.NewWriter(io.Discard, flate.BestSpeed) // fails only on an unknown level
	return z
}}

// deflate returns text in deflate blocks (RFC 1951), none of them the last.
func deflate(text []byte) []byte {
	z := flateWriters.Get().(*flate.Writer)
	var buf bytes.Buffer
	z.Reset(&buf)
	_, _ = z.Write(text) // never fails on a buffer
	_ = z.Flush()
	z.Reset(io.Discard) // drop the reference to buf
	flateWriters.Put(z)
	return bytes.Clone(buf.Bytes())
}

// zstdFrames compresses pieces, several at a time.
var zstdFrames = sync.OnceValue(func() *zstd.Encoder {
	z, _ := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(256<<10)) // fails only on bad options
	return z
})

// appendZstd appends the page as zstd frames, one after the other (RFC 8878,
// section 3).
func (p *page) appendZstd(parts [][]byte) [][]byte {
	for _, c := range p.pieces {
		c.zstd.once.Do(func() { c.zstd.b = zstdFrames().EncodeAll(c.text, nil) })
		parts = append(parts, c.zstd.b)
	}
	return parts
}
