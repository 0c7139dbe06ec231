package mpm

import (
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/metric"
)

// sampleFile returns the bytes and the name of a file with 3 families and n series of one of
// them.
func sampleFile(t testing.TB, n int) (name string, content []byte) {
	t.Helper()
	s, err := Create(t.TempDir(), Options{})
	require.NoError(t, err)
	f, err := s.AddSchema(counterSchema("c", "n"))
	require.NoError(t, err)
	for i := range n {
		one, err := s.AddSeries(f, []string{strconv.Itoa(i)}, nil)
		require.NoError(t, err)
		add(one, uint64(i))
	}
	for _, name := range []string{"a", "b"} {
		_, err := s.AddSchema(&metric.Schema{Name: name, Help: "H.", Type: metric.Histogram, Bounds: []float64{1}})
		require.NoError(t, err)
	}
	content, err = os.ReadFile(s.Path())
	require.NoError(t, err)
	return filepath.Base(s.Path()), content
}

// sealHeader corrects the header checksum of b.
func sealHeader(b []byte) []byte {
	le.PutUint32(b[offHeaderCRC:], crc32.Checksum(b[:offHeaderCRC], castagnoli))
	return b
}

func put32(off int, v uint32) func([]byte) []byte {
	return func(b []byte) []byte { binary.LittleEndian.PutUint32(b[off:], v); return b }
}

func TestOpenRefuses(t *testing.T) {
	name, good := sampleFile(t, 3)
	for _, tc := range []struct {
		what    string
		corrupt func(b []byte) []byte
		want    error
	}{
		{"sound", func(b []byte) []byte { return b }, nil},
		{"empty", func(b []byte) []byte { return nil }, ErrCorrupt},
		{"one byte", func(b []byte) []byte { return b[:1] }, ErrForeign},
		{"magic only", func(b []byte) []byte { return b[:8] }, ErrCorrupt},
		{"cut in the header", func(b []byte) []byte { return b[:300] }, ErrCorrupt},
		{"cut in block 0", func(b []byte) []byte { return b[:BlockSize-1] }, ErrCorrupt},
		{"foreign", func(b []byte) []byte { b[0] = 'x'; return b }, ErrForeign},
		{"text", func(b []byte) []byte { return []byte("# HELP x\nx 1\n") }, ErrForeign},
		{"next version", func(b []byte) []byte { return sealHeader(put32(offVersion, 2)(b)) }, ErrUnsupported},
		{"next version, other checksum", put32(offVersion, 2), ErrUnsupported},
		{"version 0", func(b []byte) []byte { return sealHeader(put32(offVersion, 0)(b)) }, ErrCorrupt},
		{"big-endian", func(b []byte) []byte { return sealHeader(put32(offByteOrder, 0x0D0C0B0A)(b)) }, ErrCorrupt},
		{"header size", func(b []byte) []byte { return sealHeader(put32(offHeaderSize, 256)(b)) }, ErrCorrupt},
		{"block size", func(b []byte) []byte { return sealHeader(put32(offBlockSize, 4096)(b)) }, ErrCorrupt},
		{"flipped bit", func(b []byte) []byte { b[offCreated] ^= 1; return b }, ErrCorrupt},
		{"label length", func(b []byte) []byte { return sealHeader(put32(offLabelLen, 129)(b)) }, ErrCorrupt},
		{"no label", func(b []byte) []byte { return sealHeader(put32(offLabelLen, 0)(b)) }, ErrCorrupt},
		{"negative pid", func(b []byte) []byte { b[offPID+7] = 0x80; return sealHeader(b) }, ErrCorrupt},
		{"unknown liveness", func(b []byte) []byte { return sealHeader(put32(offLiveness, 77)(b)) }, nil},
		{"label not UTF-8", func(b []byte) []byte { b[offLabel] = 0xff; return sealHeader(b) }, ErrCorrupt},
		{"another incarnation", func(b []byte) []byte { b[offIncarnation] ^= 1; return sealHeader(b) }, ErrForeign},
	} {
		t.Run(tc.what, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), name)
			require.NoError(t, os.WriteFile(path, tc.corrupt(append([]byte(nil), good...)), 0o600))
			r, err := Open(path, ReadOptions{})
			require.ErrorIs(t, err, tc.want)
			if tc.want != nil {
				require.ErrorContains(t, err, path)
				return
			}
			defer r.Close()
			require.NoError(t, r.Refresh())
			require.Len(t, r.Series(), 3)
			held, err := r.Locked()
			require.NoError(t, err)
			require.Equal(t, r.Header().Liveness == LivenessNone, held, "a copy has no lock")
		})
	}
}

// TestDamageIsLocal damages one position of a file with 3000 series in several blocks, and
// expects everything else to be read.
func TestDamageIsLocal(t *testing.T) {
	const n = 3000
	name, good := sampleFile(t, n)
	_, start := blockStart(0)
	secondRecord := int(start) + int(le.Uint32(good[start:]))
	for _, tc := range []struct {
		what    string
		corrupt func(b []byte) []byte
		atLeast int // series that must be read
		damaged int
	}{
		{"a series' label", func(b []byte) []byte { b[secondRecord+offSerBody+2] ^= 1; return b }, n - 1, 1},
		{"a series' checksum", func(b []byte) []byte { b[secondRecord+offRecCRC] ^= 1; return b }, n - 1, 1},
		{"a record's length", put32(secondRecord, 0), n - BlockSize/48, 1},
		{"a record's length, odd", put32(secondRecord, 41), n - BlockSize/48, 1},
		{"a record's length, huge", put32(secondRecord, 1<<31), n - BlockSize/48, 1},
		{"a record's length, shorter than a series", put32(secondRecord, 24), n - BlockSize/48, 1},
		{"an unknown kind", func(b []byte) []byte { le.PutUint16(b[secondRecord+offRecKind:], 99); return b }, n - 1, 0},
		{"an unknown state", put32(secondRecord+offRecState, 7), n - 1, 0},
		{"used past the block", func(b []byte) []byte { le.PutUint64(b[headerSize+offBlockUsed:], BlockSize+8); return b }, n, 1},
		{"the family", func(b []byte) []byte { b[start+offFamBody+4] ^= 1; return b }, 0, n + 1},
		{"a cell block's kind", put32(BlockSize+offBlockKind, 9), 0, 1},
		{"a cell block's index", put32(BlockSize+offBlockIndex, 9), 0, 1},
	} {
		t.Run(tc.what, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), name)
			require.NoError(t, os.WriteFile(path, tc.corrupt(append([]byte(nil), good...)), 0o600))
			r, err := Open(path, ReadOptions{})
			require.NoError(t, err)
			defer r.Close()
			require.NoError(t, r.Refresh())
			require.GreaterOrEqual(t, len(r.Series()), tc.atLeast)
			details, damaged := r.Damaged()
			require.GreaterOrEqual(t, damaged, tc.damaged)
			problems, err := Verify(path, ReadOptions{})
			require.NoError(t, err)
			require.GreaterOrEqual(t, len(problems), len(details))
			for _, s := range r.Series() {
				require.Equal(t, s.Values()[0], strconv.FormatUint(s.Words()[0], 10))
			}
		})
	}
}

func TestShortenedFile(t *testing.T) {
	name, good := sampleFile(t, 3000)
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, good, 0o600))
	r, err := Open(path, ReadOptions{})
	require.NoError(t, err)
	defer r.Close()
	require.NoError(t, r.Refresh())
	require.NoError(t, os.Truncate(path, 0))
	err = Guard(path, func() error {
		_ = r.Count(InvalidUpdates)
		return nil
	})
	require.ErrorIs(t, err, ErrCorrupt)
	require.ErrorIs(t, r.Refresh(), ErrCorrupt)
	require.Panics(t, func() { Guard(path, func() error { panic("not a fault") }) })
}

// TestVerifyShortenedFile: a file that lacks published blocks, or loses them while it is
// being verified, has a problem. It is not reported as busy, and nothing crashes.
func TestVerifyShortenedFile(t *testing.T) {
	name, good := sampleFile(t, 3000)
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, good[:BlockSize], 0o600))
	problems, err := Verify(path, ReadOptions{})
	require.NoError(t, err)
	require.Len(t, problems, 1)

	if runtime.GOOS == "windows" {
		t.Skip("Windows does not shorten a file that is mapped")
	}
	require.NoError(t, os.WriteFile(path, good, 0o600))
	r, err := Open(path, ReadOptions{})
	require.NoError(t, err)
	defer r.Close()
	require.NoError(t, r.Refresh())
	require.NoError(t, os.Truncate(path, 0))
	problems, settled, err := r.verify()
	require.NoError(t, err)
	require.True(t, settled)
	require.Len(t, problems, 1)
}

// TestSwappedCells: words of a block with a wrong number are not used, because they belong to
// other series.
func TestSwappedCells(t *testing.T) {
	const n = 5000
	name, good := sampleFile(t, n)
	var cells [][]byte
	for i := BlockSize; i < len(good); i += BlockSize {
		if b := good[i:][:BlockSize]; le.Uint32(b[offBlockKind:]) == blockCells {
			cells = append(cells, b)
		}
	}
	require.Len(t, cells, 2)
	saved := append([]byte(nil), cells[0]...)
	copy(cells[0], cells[1])
	copy(cells[1], saved)
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, good, 0o600))
	r, err := Open(path, ReadOptions{})
	require.NoError(t, err)
	defer r.Close()
	require.NoError(t, r.Refresh())
	require.Empty(t, r.Series())
	_, damaged := r.Damaged()
	require.Equal(t, n+len(cells), damaged)
}

func TestOpenTakesRegularFilesOnly(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has neither symbolic links without a privilege nor FIFOs")
	}
	name, good := sampleFile(t, 1)
	dir := t.TempDir()
	target := filepath.Join(dir, "target")
	require.NoError(t, os.WriteFile(target, good, 0o600))
	link := filepath.Join(dir, name)
	require.NoError(t, os.Symlink(target, link))
	_, err := Open(link, ReadOptions{})
	require.ErrorIs(t, err, ErrNotTrusted)

	require.NoError(t, os.Remove(link))
	require.NoError(t, mkfifo(link))
	_, err = Open(link, ReadOptions{})
	require.ErrorIs(t, err, ErrNotTrusted)

	require.NoError(t, os.Remove(link))
	require.NoError(t, os.WriteFile(link, good, 0o600))
	_, err = Open(link, ReadOptions{Trusted: func(uid int) bool { return uid != os.Getuid() }})
	require.ErrorIs(t, err, ErrNotTrusted)
	_, err = Open(link, ReadOptions{MaxBytes: 100})
	require.ErrorIs(t, err, ErrTooBig)
}

func TestCreateLeavesOneCompleteFile(t *testing.T) {
	dir := t.TempDir()
	s, err := Create(dir, Options{Label: "web"})
	require.NoError(t, err)
	entries, err := ScanDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1)
	h := s.Header()
	require.Equal(t, Entry{h.FileName(), KindNative, os.Getpid(), h.Incarnation}, entries[0])
	info, err := os.Stat(s.Path())
	require.NoError(t, err)
	if runtime.GOOS != "windows" {
		require.EqualValues(t, 0o600, info.Mode().Perm())
	}
	r, err := Open(s.Path(), ReadOptions{})
	require.NoError(t, err)
	defer r.Close()
	require.Equal(t, h.Incarnation, r.Header().Incarnation)
	require.NotEqual(t, LivenessNone, h.Liveness, "the temporary directory has no locks")
	held, err := r.Locked()
	require.NoError(t, err)
	require.True(t, held)
	require.NoError(t, MarkDead(s.Path()))
	require.True(t, r.Marked())

	_, err = Create(filepath.Join(dir, "missing"), Options{})
	require.ErrorIs(t, err, os.ErrNotExist)
}
