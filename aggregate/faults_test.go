package aggregate

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate/internal/compact"
	"github.com/multiprom/multiprom/internal/inspect"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// What bad files and directories get: each fault is a real one, and all else
// is served and compacted beside it.

// dead is a file of a dead process that counted n, in dir.
func dead(t testing.TB, dir, label string, created int64, n uint64) (path string) {
	t.Helper()
	p := newProcess(t, t.TempDir(), label, created)
	p.count(counter("c"), n)
	return die(t, p.Store, dir)
}

// listing describes every name in a directory: what it is, and all of its bytes.
func listing(t testing.TB, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, name := range names(t, dir) {
		path := filepath.Join(dir, name)
		info, err := os.Lstat(path)
		require.NoError(t, err)
		out[name] = info.Mode().String()
		if info.Mode().IsRegular() && info.Mode().Perm()&0o400 != 0 {
			b, err := os.ReadFile(path)
			require.NoError(t, err)
			out[name] += fmt.Sprintf(" %d %x", len(b), crc32.ChecksumIEEE(b))
		}
	}
	return out
}

// badFile is a fault of a file under the name of its process.
type badFile struct {
	fault  string
	state  inspect.FileState
	reason error // of Compact
	make   func(t *testing.T, path string, b []byte)
}

// bytesOf is a fault of the file's bytes.
func bytesOf(corrupt func(b []byte) []byte) func(*testing.T, string, []byte) {
	return func(t *testing.T, path string, b []byte) {
		require.NoError(t, os.WriteFile(path, corrupt(b), 0o600))
	}
}

var badFiles = []badFile{
	{"corrupt header", inspect.Corrupt, mpm.ErrCorrupt, bytesOf(func(b []byte) []byte { b[60] ^= 1; return b })},
	{"corrupt record", inspect.OK, compact.ErrNotUnderstood, bytesOf(func(b []byte) []byte { b[512+64+20] ^= 1; return b })},
	{"empty", inspect.Corrupt, mpm.ErrCorrupt, bytesOf(func([]byte) []byte { return nil })},
	{"cut in its first block", inspect.Corrupt, mpm.ErrCorrupt, bytesOf(func(b []byte) []byte { return b[:700] })},
	{"cut in its last block", inspect.Corrupt, mpm.ErrCorrupt, bytesOf(func(b []byte) []byte { return b[:len(b)-1] })},
	{"no block", inspect.Corrupt, mpm.ErrCorrupt, bytesOf(func(b []byte) []byte { clear(b[256:264]); return b })},
	{"newer version", inspect.Unsupported, mpm.ErrUnsupported, bytesOf(func(b []byte) []byte { b[8] = 2; return b })},
	{"text", inspect.Foreign, mpm.ErrForeign, bytesOf(func([]byte) []byte { return []byte("hello, I am text") })},
	{"another's file", inspect.Foreign, mpm.ErrForeign, bytesOf(func(b []byte) []byte {
		mend(b, 1, mpm.Incarnation{1})
		return b
	})},
	{"symbolic link", inspect.Untrusted, mpm.ErrNotTrusted, func(t *testing.T, path string, b []byte) {
		target := filepath.Join(t.TempDir(), filepath.Base(path))
		require.NoError(t, os.WriteFile(target, b, 0o600))
		require.NoError(t, os.Symlink(target, path))
	}},
	{"FIFO", inspect.Untrusted, mpm.ErrNotTrusted, func(t *testing.T, path string, _ []byte) {
		require.NoError(t, mkfifo(path))
	}},
	{"directory", inspect.Untrusted, mpm.ErrNotTrusted, func(t *testing.T, path string, _ []byte) {
		require.NoError(t, os.Mkdir(path, 0o700))
	}},
	{"socket", inspect.Untrusted, mpm.ErrNotTrusted, func(t *testing.T, path string, _ []byte) {
		short, err := os.MkdirTemp(filepath.Dir(filepath.Dir(path)), "s") // a socket's path has 108 bytes at most
		require.NoError(t, err)
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(short, "s")})
		require.NoError(t, err)
		t.Cleanup(func() { l.Close() })
		require.NoError(t, os.Rename(filepath.Join(short, "s"), path))
	}},
}

// mend gives the bytes of a file another identity and a good checksum
// (docs/format.md, "File header").
func mend(b []byte, pid int, inc mpm.Incarnation) {
	const offIncarnation, offPID, offCRC = 24, 48, 252
	copy(b[offIncarnation:], inc[:])
	binary.LittleEndian.PutUint64(b[offPID:], uint64(pid))
	binary.LittleEndian.PutUint32(b[offCRC:], crc32.Checksum(b[:offCRC], crc32.MakeTable(crc32.Castagnoli)))
}

// TestBadFilesLeaveTheRest has one file of every fault in one directory: the
// others are served and compacted, the bad ones are counted, named, and left as
// they are.
func TestBadFilesLeaveTheRest(t *testing.T) {
	dir := t.TempDir()
	live := newProcess(t, dir, "live", 1)
	live.count(counter("c"), 1)
	good := []string{filepath.Base(dead(t, dir, "a", 2, 10)), filepath.Base(dead(t, dir, "b", 3, 100))}
	faults := map[string]badFile{} // by name
	states := map[inspect.FileState]int{inspect.OK: 3}
	for i, bad := range badFiles {
		p := newProcess(t, t.TempDir(), bad.fault, int64(10+i))
		p.count(counter("broken"), 1000)
		p.count(counter("rest"), 7)
		b, err := os.ReadFile(p.Path())
		require.NoError(t, err)
		path := filepath.Join(dir, filepath.Base(p.Path()))
		bad.make(t, path, b)
		faults[filepath.Base(path)] = bad
		states[bad.state]++
	}
	opts := Options{NoSelfMetrics: true}
	warm := openDir(t, dir, opts)
	before, files := view(t, warm), listing(t, dir)
	check := func(states map[inspect.FileState]int) {
		t.Helper()
		a := openDir(t, dir, Options{})
		got := gather(t, a)
		require.EqualValues(t, 111, got["c_total"])
		require.EqualValues(t, 7, got["rest_total"], "what is whole in a damaged file is served")
		require.NotContains(t, got, "broken_total")
		require.EqualValues(t, 2, got["multiprom_damaged_records"], "a family and its series")
		for _, s := range inspect.FileStates {
			require.EqualValues(t, states[s], got[`multiprom_files{state="`+string(s)+`"}`], s)
		}
		for _, f := range inspect.Files(a) {
			bad, ok := faults[f.Name]
			if !ok || bad.state == inspect.OK {
				require.Equal(t, inspect.File{Name: f.Name, State: inspect.OK}, f)
				continue
			}
			require.Equal(t, bad.state, f.State, bad.fault)
			require.ErrorIs(t, f.Err, bad.reason, bad.fault)
			require.ErrorContains(t, f.Err, filepath.Join(dir, f.Name), bad.fault)
		}
		require.Equal(t, before, view(t, openDir(t, dir, opts)))
		require.Equal(t, before, view(t, warm))
	}
	check(states)

	r := compactDir(t, dir)
	require.ElementsMatch(t, good, r.Compacted)
	require.Len(t, r.Left, len(faults))
	for _, left := range r.Left {
		require.ErrorIs(t, left.Reason, faults[left.Name].reason, faults[left.Name].fault)
	}
	after := listing(t, dir)
	for _, name := range good {
		require.NotContains(t, after, name)
		delete(files, name)
	}
	delete(after, mpm.ArchiveName)
	require.Equal(t, files, after)
	states[inspect.OK] = 3 // the living, the damaged, the archive
	check(states)
}

// TestFileCutWhileItIsRead shortens a living process's file beside two readers:
// they survive it, and no value falls.
func TestFileCutWhileItIsRead(t *testing.T) {
	if raceEnabled {
		t.Skip("a fault within the race detector's own code, which reads for us, cannot be recovered from")
	}
	const many = 20_000 // some blocks of words
	dir := t.TempDir()
	newProcess(t, dir, "steady", 1).count(counter("c"), 1)
	victim := func(series int) (p *process, size int64) {
		p = newProcess(t, dir, "victim", 2)
		f, err := p.AddSchema(counter("c", "l"))
		require.NoError(t, err)
		for i := range series {
			s, err := p.AddSeries(f, []string{fmt.Sprint(i)}, nil)
			require.NoError(t, err)
			atomic.StoreUint64(&s.Words()[mpm.CellCounterInts], 1)
		}
		info, err := os.Stat(p.Path())
		require.NoError(t, err)
		return p, info.Size()
	}
	sum := func(a *Aggregator) (n float64, err error) {
		families, err := a.Gather(t.Context())
		for _, f := range families {
			for i := range f.Series {
				if f.Name == "c" {
					n += f.Series[i].Value
				}
			}
		}
		return n, err
	}
	for _, c := range []struct {
		name   string
		series int
		cut    func(size int64) int64
	}{
		{"to nothing", many, func(int64) int64 { return 0 }},
		{"in the header", many, func(int64) int64 { return 100 }},
		{"after a block", many, func(int64) int64 { return mpm.BlockSize }},
		{"in the middle", many, func(size int64) int64 { return size / 2 }},
		{"at the end", many, func(size int64) int64 { return size - 1 }},
		// No page is missing: the words are zeros.
		{"before the words", 1, func(int64) int64 { return mpm.BlockSize + 1 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			series := c.series
			p, size := victim(series)
			defer os.Remove(p.Path())
			readers := []*Aggregator{openDir(t, dir, Options{}), openDir(t, dir, Options{})}
			for _, a := range readers {
				n, err := sum(a)
				require.NoError(t, err)
				require.EqualValues(t, series+1, n)
			}
			var scrapes atomic.Int64
			var running sync.WaitGroup
			stop := make(chan struct{})
			for _, a := range readers {
				running.Go(func() {
					for {
						select {
						case <-stop:
							return
						default:
						}
						if n, err := sum(a); err != nil || n != float64(series+1) {
							t.Errorf("%v, %v", n, err)
							return
						}
						scrapes.Add(1)
					}
				})
			}
			wait := func(n int64) { // for as many further scrapes
				n += scrapes.Load()
				require.Eventually(t, func() bool { return scrapes.Load() >= n || t.Failed() }, 10*time.Second, time.Millisecond)
			}
			wait(2)
			require.NoError(t, os.Truncate(p.Path(), c.cut(size)))
			wait(4)
			close(stop)
			running.Wait()
			for _, a := range append(readers, openDir(t, dir, Options{})) {
				require.EqualValues(t, 1, gather(t, a)[`multiprom_files{state="corrupt"}`])
			}
			r := compactDir(t, dir)
			require.Empty(t, r.Compacted)
			require.Equal(t, 2, r.Living+len(r.Left), "its process lives, where the header still says so")
			require.FileExists(t, p.Path())
			require.EqualValues(t, 1, gather(t, openDir(t, dir, Options{}))["c_total"], "a new reader has no good values")
		})
	}
}

// TestVanishingFiles lets files come and go, bad ones too, while a reader
// scrapes: never an error, and what stays is exact.
func TestVanishingFiles(t *testing.T) {
	dir := t.TempDir()
	newProcess(t, dir, "steady", 1).count(counter("steady"), 5)
	good, err := os.ReadFile(dead(t, t.TempDir(), "a", 1, 1))
	require.NoError(t, err)
	stop := make(chan struct{})
	var running sync.WaitGroup
	var came atomic.Int64
	for n := range 2 {
		running.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				b := slices.Clone(good)
				mend(b, n, mpm.Incarnation{byte(n), byte(i), byte(i >> 8), byte(i >> 16)})
				h := mpm.Header{PID: n, Incarnation: mpm.Incarnation{byte(n), byte(i), byte(i >> 8), byte(i >> 16)}}
				if i%3 == 0 {
					b = b[:i%100]
				}
				path := filepath.Join(dir, h.FileName())
				if err := os.WriteFile(path, b, 0o600); err != nil {
					t.Error(err)
				}
				if err := os.Remove(path); err != nil {
					t.Error(err)
				}
				came.Add(1)
			}
		})
	}
	warm := openDir(t, dir, Options{})
	scrapes := 0
	for came.Load() < 2000 && !t.Failed() {
		for _, a := range []*Aggregator{warm, newAggregator(dir, Options{})} {
			families, err := a.Gather(t.Context())
			if err != nil {
				t.Error(err)
			} else if got := flatten(families)["steady_total"]; got != 5 {
				t.Errorf("the file that stays says %v", got)
			}
			scrapes++
			if a != warm {
				a.Close()
			}
		}
	}
	close(stop)
	running.Wait()
	require.NotContains(t, gather(t, warm), "c_total", "all of them are gone")
	t.Logf("%d scrapes while %d files came and went", scrapes, came.Load())
}

// TestHardLinksAndCopiesCountOnce: a process is its incarnation, not a name.
func TestHardLinksAndCopiesCountOnce(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	live := newProcess(t, dir, "live", 1)
	live.count(counter("c"), 1)
	path := dead(t, dir, "dead", 2, 10)
	var links []string
	for i, target := range []string{live.Path(), path} {
		h := mpm.Header{PID: 1, Incarnation: mpm.Incarnation{byte(i)}}
		require.NoError(t, os.Link(target, filepath.Join(dir, h.FileName())))
		links = append(links, h.FileName())
	}
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(other, filepath.Base(path)), b, 0o600))
	a := openDir(t, dir, Options{})
	check := func() {
		for _, a := range []*Aggregator{a, openDir(t, dir, Options{})} {
			got := gather(t, a)
			require.EqualValues(t, 11, got["c_total"])
			require.EqualValues(t, 2, got[`multiprom_files{state="foreign"}`])
			require.EqualValues(t, 1, got[`multiprom_processes{state="live"}`])
		}
		require.EqualValues(t, 10, gather(t, openDir(t, other, Options{}))["c_total"])
	}
	check()
	r := compactDir(t, dir)
	require.Equal(t, []string{filepath.Base(path)}, r.Compacted)
	require.Len(t, r.Left, 2)
	for _, left := range r.Left {
		require.Contains(t, links, left.Name)
		require.ErrorIs(t, left.Reason, mpm.ErrForeign)
	}
	check()
	compactDir(t, other)
	check()
}

// TestWithoutLocks: a process whose filesystem has no locks to trust counts as
// alive until somebody marks it.
func TestWithoutLocks(t *testing.T) {
	dir := t.TempDir()
	p := newProcess(t, t.TempDir(), "a", 1)
	p.count(counter("c"), 5)
	setGauge(p.add(gauge("g", metric.ModeLiveSum)), 3)
	path := die(t, p.Store, dir)
	setLiveness(t, path, mpm.LivenessNone)
	a := openDir(t, dir, Options{})
	got := gather(t, a)
	require.EqualValues(t, 3, got["g"])
	require.EqualValues(t, 1, got[`multiprom_processes{state="live"}`])
	_, err := Compact(t.Context(), dir, CompactOptions{Marked: true})
	require.NoError(t, err)
	require.FileExists(t, path)
	require.NoError(t, mpm.MarkDead(path))
	for range 2 {
		got = gather(t, a)
		require.NotContains(t, got, "g")
		require.EqualValues(t, 5, got["c_total"])
		require.EqualValues(t, 1, got[`multiprom_processes{state="marked"}`])
		compactDir(t, dir) // without the option it stays
	}
	_, err = Compact(t.Context(), dir, CompactOptions{Marked: true})
	require.NoError(t, err)
	require.Equal(t, []string{mpm.ArchiveName}, names(t, dir))
	require.EqualValues(t, 5, gather(t, a)["c_total"])
}
