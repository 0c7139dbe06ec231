package pyfile

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/internal/pyfiletest"
)

func contentIs(t testing.TB, b []byte) Content {
	t.Helper()
	c, err := contentOf(bytes.NewReader(b), int64(len(b)))
	require.NoError(t, err)
	return c
}

// clientFiles are whole files as the clients write them.
func clientFiles() map[string][]byte {
	of := func(stride pyfiletest.Stride, keys ...string) []byte {
		var samples []pyfiletest.Sample
		for i, k := range keys {
			samples = append(samples, pyfiletest.Sample{Key: k, Value: float64(i), Time: 1e9})
		}
		return stride.Content(samples...)
	}
	long := strings.Repeat("long ", 20_000)
	return map[string][]byte{
		"today's":     of(pyfiletest.Timed, `["c", "c_total", {"l": "x"}, "Help."]`, `["d", "d_total", {}, ""]`),
		"no time":     of(pyfiletest.Simple, `["c", "c_total", {"l": "x"}, "Help."]`, `["d", "d_total", {}, ""]`),
		"no help":     of(pyfiletest.Simple, `["c", "c_total", {"l": "x"}]`),
		"Ruby":        of(pyfiletest.Simple, `["c","c",["a","b"],["x",1]]`, `["d","d",[],[]]`),
		"no spaces":   of(pyfiletest.Timed, `["c","c_total",{"l":"x"},"Help."]`),
		"a long key":  of(pyfiletest.Timed, `["c", "c_total", {"l": "`+long+`"}, "Help."]`),
		"escapes":     of(pyfiletest.Timed, `["\u00e4\ud83d\ude00", "\"\\", {"l": "\u00e4"}, "\n"]`),
		"of one byte": of(pyfiletest.Timed, `["", "", {}, ""]`),
	}
}

// TestContentOfClients: a client's file is recognized, however it was cut or damaged, as
// long as something in it identifies it.
func TestContentOfClients(t *testing.T) {
	for name, whole := range clientFiles() {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, Records, contentIs(t, whole))
			for n := range min(len(whole), 400) {
				want := Records
				switch {
				case n == 0:
					want = Nothing
				case n < firstRecord+2:
					want = Foreign // it could be anything
				}
				require.Equal(t, want, contentIs(t, whole[:n]), "%d bytes", n)
			}
			damage := func(why string, at int, with ...byte) {
				b := slices.Clone(whole)
				copy(b[at:], with)
				require.Equal(t, Records, contentIs(t, b), why)
			}
			damage("nothing in use", 0, 0, 0, 0, 0)
			damage("too much in use", 0, 0xff, 0xff, 0xff, 0x7f)
			damage("less than nothing in use", 0, 0xff, 0xff, 0xff, 0xff)
			damage("the header", 0, 1, 2, 3, 4, 5, 6, 7, 8)
			damage("no length", headerSize, 0, 0, 0, 0)
			damage("a huge length", headerSize, 0xff, 0xff, 0xff, 0x7f)
			damage("a negative length", headerSize, 0xff, 0xff, 0xff, 0xff)
			for at := firstRecord + 2; at < firstRecord+8; at++ {
				damage("in the key", at, 0, 0xff)
			}
			if bytes.Contains(whole, []byte(`["d"`)) {
				damage("the first key", firstRecord, '{', 0)
			}
		})
	}
	for _, n := range []int{0, 1, 8, 4096, 1 << 16, maxEmpty} {
		require.Equal(t, Nothing, contentIs(t, make([]byte, n)), "%d zeros", n)
	}
	fresh := make([]byte, 1<<16)
	native.PutUint32(fresh, headerSize)
	require.Equal(t, Nothing, contentIs(t, fresh), "opened, and no metric yet")
}

// othersFiles are files of other programs, some of them similar to a client's.
func othersFiles(t testing.TB) map[string][]byte {
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, err := z.Write([]byte(`["c", "c_total", {}, "Help."]`))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	header := func(used, pad, length uint32, rest string) []byte {
		b := make([]byte, 0, 64)
		for _, n := range []uint32{used, pad, length} {
			b = native.AppendUint32(b, n)
		}
		return append(append(b, rest...), make([]byte, 4096)...)
	}
	late := make([]byte, 8192)
	late[8191] = 1
	sqlite := append([]byte("SQLite format 3\x00\x10\x00\x01\x01\x00\x40\x20\x20"), make([]byte, 4072)...)
	text := strings.Repeat("counters of the year\n", 500)
	return map[string][]byte{
		"SQLite": sqlite, "gzip": zipped.Bytes(), "text": []byte(text), "short text": []byte("x"), "zeros, then not": late,
		"too many zeros": make([]byte, maxEmpty+1), "JSON lines": []byte(`{"metrics": ["a", "b", {}, "c"]}` + "\n"),
		"an array": []byte(`["c", "c_total", {}, "Help."]`), "an array at 8": []byte(`12345678["c", "c_total", {}, "Help."]`),
		"UTF-16":         []byte("\xff\xfe[\x00\"\x00a\x00\"\x00,\x00\"\x00b\x00\"\x00]\x00"),
		"used and text":  header(100, 0, 20, "hello, I am text"),
		"another array":  header(100, 0, 20, `["a", 1, 2]`),
		"a string array": header(100, 0, 20, `["a", "b", "c"]`),
		"an object":      header(100, 0, 20, `{"a": "b"}`),
		"only used":      header(100, 0, 0, ""),
		"empty used":     header(8, 0, 7, "no key"),
		"no padding":     header(100, 1, 20, `["a", `),
		"ELF":            []byte("\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x03\x00>\x00"),
		"a store's":      []byte("\x89MPM\r\n\x1a\n\x01\x00\x00\x00\x0d\x0c\x0b\x0a"),
		"a number":       binary.LittleEndian.AppendUint64(nil, 100),
	}
}

// TestContentOfOthers: no other program's file is taken for a client's. It tries known
// files and random ones that are similar.
func TestContentOfOthers(t *testing.T) {
	for name, b := range othersFiles(t) {
		require.Equal(t, Foreign, contentIs(t, b), name)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 200_000 {
		b := make([]byte, 1+r.IntN(200))
		zeros := r.IntN(4) // number of zeros in four bytes
		for i := range b {
			if r.IntN(4) >= zeros {
				b[i] = byte(r.Uint32())
			}
		}
		if i%2 == 0 && len(b) >= firstRecord {
			native.PutUint32(b, uint32(r.IntN(300))) // like a client's file, except for the key
			native.PutUint32(b[4:], 0)
			native.PutUint32(b[headerSize:], uint32(r.IntN(100)))
		}
		if c := contentIs(t, b); c != Foreign {
			require.Equal(t, Nothing, c, "%q", b)
			require.Empty(t, strings.Trim(string(b), "\x00\x08"), "%q", b)
		}
	}
}

// TestNothingIsDoneToOthers: every function that changes a file checks its name and content.
func TestNothingIsDoneToOthers(t *testing.T) {
	dir := t.TempDir()
	d, err := mpm.OpenDir(dir)
	require.NoError(t, err)
	defer d.Close()
	aside := func(name string) string { return name + "_dead-00112233445566778899aabbccddeeff.db" }
	mine := clientFiles()["today's"]
	i := 0
	for what, b := range othersFiles(t) {
		i++
		for _, name := range []string{fmt.Sprintf("counter_%d.db", i), aside(fmt.Sprintf("gauge_all_%d.db", i))} {
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), b, 0o600))
			content, err := Look(d, name, mpm.ReadOptions{})
			require.NoError(t, err)
			require.Equal(t, Foreign, content, what)
		}
	}
	for _, name := range []string{"weird_1.db", "gauge_1.db", "gauge_sometimes_1.db", "counter.db", aside("weird_1.db")} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), mine, 0o600)) // the content is right, the name is not
	}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		_, err := SetAside(d, e.Name())
		require.ErrorIs(t, err, mpm.ErrForeign)
		require.ErrorIs(t, Restore(d, e.Name()), mpm.ErrForeign)
		require.ErrorIs(t, Remove(d, e.Name()), mpm.ErrForeign)
		_, err = Open(d, e.Name(), &Keys{}, mpm.ReadOptions{})
		require.ErrorIs(t, err, mpm.ErrForeign)
		require.ErrorContains(t, err, e.Name())
	}
	after, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Equal(t, len(entries), len(after))
	for i := range entries {
		require.Equal(t, entries[i].Name(), after[i].Name())
	}

	require.NoError(t, os.WriteFile(filepath.Join(dir, "counter_mine.db"), mine, 0o600))
	e, err := SetAside(d, "counter_mine.db")
	require.NoError(t, err)
	require.NoError(t, Restore(d, e.Name))
	require.NoError(t, Remove(d, "counter_mine.db"))
	require.NoFileExists(t, filepath.Join(dir, "counter_mine.db"))
}

// endless is a file whose first key does not end. It counts what is read of it.
type endless struct {
	head []byte
	size int64
	read int64
}

func (e *endless) ReadAt(b []byte, off int64) (int, error) {
	b = b[:max(0, min(int64(len(b)), e.size-off))]
	for i := range b {
		if b[i] = 'x'; off+int64(i) < int64(len(e.head)) {
			b[i] = e.head[off+int64(i)]
		}
	}
	e.read += int64(len(b))
	if off+int64(len(b)) == e.size {
		return len(b), io.EOF
	}
	return len(b), nil
}

// TestEndlessKey: what a file costs does not grow with its size.
func TestEndlessKey(t *testing.T) {
	const size = 1 << 30
	for name, tc := range map[string]struct {
		used, length uint32
		want         Content
	}{
		"possible numbers":   {size, size - 100, Records},
		"an impossible use":  {1, size - 100, Foreign},
		"an impossible size": {size, 0, Foreign},
		"a key of all":       {1, size - firstRecord - 4, Foreign},
	} {
		head := native.AppendUint32(nil, tc.used)
		head = native.AppendUint32(head, 0)
		head = native.AppendUint32(head, tc.length)
		f := &endless{head: append(head, `["x`...), size: size}
		got, err := contentOf(f, size)
		require.NoError(t, err, name)
		require.Equal(t, tc.want, got, name)
		require.Less(t, f.read, int64(8<<20), name)
	}
}

// TestLongFirstKey: a client's file is known however long its first key is.
func TestLongFirstKey(t *testing.T) {
	key := pyfiletest.Key("c", "c_total", map[string]string{"l": strings.Repeat("x", 3*maxKeyLook)}, "H.")
	b := pyfiletest.Timed.Content(pyfiletest.Sample{Key: key, Value: 1})
	require.Equal(t, Records, contentIs(t, b))
	require.Equal(t, Records, contentIs(t, b[:2*maxKeyLook]), "cut within the key")
	native.PutUint32(b, 1)
	require.Equal(t, Records, contentIs(t, b), "a damaged use")
	b[headerSize+4+int(native.Uint32(b[headerSize:]))-1] = 'x'
	require.Equal(t, Foreign, contentIs(t, b), "a key that does not end")
}
