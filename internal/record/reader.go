package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"time"

	"github.com/klauspost/compress/zstd"
)

// names of the files of a recording.
var fileNames = [2]string{"0.rec", "1.rec"}

const tailName = "tail.rec"

// ErrNone: there is no recording.
var ErrNone = errors.New("record: there is no recording")

// loaded is a file of a recording.
type loaded struct {
	name   string
	number uint64
	ticks  [][]byte
	good   int64 // bytes up to the first frame that is not whole
}

// Read calls fn with each second of a recording, in their order, until fn returns false. What
// a kill has left half written is passed over. A recorder may be at work.
func Read(dir string, fn func(*State) bool) error {
	files, err := loadAll(dir)
	if err != nil {
		return err
	}
	each(files, fn)
	return nil
}

// each calls fn with each second of the files, until it returns false.
func each(files []*loaded, fn func(*State) bool) {
	var s State
	for _, f := range files {
		for _, tick := range f.ticks {
			applied, err := s.apply(tick)
			if err != nil {
				s.known = false // until the next beginning
				continue
			}
			if applied && !fn(&s) {
				return
			}
		}
	}
}

// timeOf returns the time of a tick, which is zero if it is damaged.
func timeOf(tick []byte) time.Time {
	d := decoder{b: tick}
	if _, at := d.uvarint(), d.uvarint(); !d.bad {
		return time.UnixMilli(int64(at))
	}
	return time.Time{}
}

// loadAll returns the files in the order of their numbers, and the tail.
func loadAll(dir string) (files []*loaded, err error) {
	// The tail is read first: ticks that go to a file meanwhile are then in both, and not in
	// neither.
	tail, err := load(filepath.Join(dir, tailName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, name := range fileNames {
		f, err := load(filepath.Join(dir, name))
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, errFormat):
		case err != nil:
			return nil, err
		default:
			files = append(files, f)
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%w in %s", ErrNone, dir)
	}
	slices.SortFunc(files, func(a, b *loaded) int { return int(int64(a.number) - int64(b.number)) })
	if tail != nil {
		files = append(files, tail)
	}
	return files, nil
}

// load reads a file.
func load(path string) (*loaded, error) {
	b, err := readFile(path)
	if err != nil {
		return nil, err
	}
	f := &loaded{name: filepath.Base(path)}
	rest := b
	if f.name != tailName {
		if len(b) < headerSize || string(b[:len(magic)]) != magic {
			return nil, fmt.Errorf("%s: %w", path, errFormat)
		}
		f.number, rest = binary.LittleEndian.Uint64(b[len(magic):]), b[headerSize:]
	}
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxFrame))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	for {
		kind, payload, after, ok := cutFrame(rest)
		if !ok {
			break
		}
		rest = after
		switch kind {
		case kindTick:
			f.ticks = append(f.ticks, payload)
		case kindBlock:
			block, err := z.DecodeAll(payload, nil)
			if err != nil {
				continue
			}
			f.ticks = append(f.ticks, ticksOf(block)...)
		}
	}
	f.good = int64(len(b) - len(rest))
	return f, nil
}

// ticksOf divides a block.
func ticksOf(block []byte) (ticks [][]byte) {
	for d := (decoder{b: block}); len(d.b) > 0; {
		n := d.count()
		if d.bad {
			return ticks
		}
		ticks = append(ticks, d.b[:n])
		d.b = d.b[n:]
	}
	return ticks
}
