package exposition

import (
	"io"
	"net/http"
	"slices"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// coding is a content coding with its idle compressors. A compressor takes hundreds of
// kilobytes, and making one takes longer than compressing a small scrape.
type coding struct {
	name string
	idle *sync.Pool
}

type compressor interface {
	io.WriteCloser
	Reset(io.Writer)
}

// Both run at their fastest level. For exposition text, the next levels save few bytes
// and cost much time.
var (
	gzipCoding = &coding{name: "gzip", idle: &sync.Pool{New: func() any {
		z, _ := gzip.NewWriterLevel(io.Discard, gzip.BestSpeed) // fails only on an unknown level
		return z
	}}}
	zstdCoding = &coding{name: "zstd", idle: &sync.Pool{New: func() any {
		// One goroutine, since the scrape waits anyway, and a window that keeps an
		// encoder's memory small. NewWriter fails only on bad options.
		z, _ := zstd.NewWriter(io.Discard, zstd.WithEncoderLevel(zstd.SpeedFastest),
			zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(256<<10))
		return z
	}}}
)

// othersCompress reports whether the header of a response, before the handler has set
// anything, says that a middleware compresses. If both compressed, no client could read
// the result, because the middleware overwrites Content-Encoding.
func othersCompress(h http.Header) bool {
	return h.Get("Content-Encoding") != "" || slices.ContainsFunc(parseRanges(h.Values("Vary")), func(r mediaRange) bool {
		return r.name == "accept-encoding"
	})
}

// compress calls write with a writer that compresses into w.
func (c *coding) compress(w io.Writer, write func(io.Writer) error) error {
	z := c.idle.Get().(compressor)
	z.Reset(w)
	err := write(z)
	if closeErr := z.Close(); err == nil {
		err = closeErr
	}
	z.Reset(io.Discard) // drop the reference to w
	c.idle.Put(z)
	return err
}
