package aggregate

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/multiprom/multiprom/internal/inspect"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

const (
	// envChild names the directory that a test has prepared for itself in a
	// child process.
	envChild = "MULTIPROM_TEST_CHILD"
	nobody   = 65534
	stranger = 65533
)

// child runs this test once more in a process of its own, as nobody where that
// is asked for, and returns the directory that prepare has filled; in the parent
// it returns "" once the child is done. What limits or identity a process has
// is its own: root may read every file, so that a test as root would say nothing.
func child(t *testing.T, asNobody bool, prepare func(dir string)) (dir string) {
	t.Helper()
	if dir = os.Getenv(envChild); dir != "" {
		return dir
	}
	if asNobody && os.Geteuid() != 0 {
		t.Skip("only root can make files of two users; `make integration` runs as root")
	}
	root, err := os.MkdirTemp("", "multiprom-test-") // t.TempDir is root's alone
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(root) })
	dir = filepath.Join(root, "dir")
	require.NoError(t, os.Mkdir(dir, 0o700))
	prepare(dir)
	program, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(program)
	if asNobody {
		b, err := os.ReadFile(program)
		require.NoError(t, err)
		cmd.Path = filepath.Join(root, "test") // the original lies where nobody cannot look
		require.NoError(t, os.WriteFile(cmd.Path, b, 0o755))
		require.NoError(t, os.Chmod(root, 0o777))
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		cmd.Dir = root
	}
	cmd.Args = append(cmd.Args, "-test.run=^"+t.Name()+"$", "-test.v", "-test.count=1")
	cmd.Env = append(os.Environ(), envChild+"="+dir, "TMPDIR="+root)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "--- PASS: "+t.Name(), "it did run")
	for line := range strings.Lines(string(out)) {
		if _, text, ok := strings.Cut(line, "_test.go:"); ok {
			t.Log(strings.TrimSpace(text)) // the child's figures
		}
	}
	return ""
}

// own gives files to a user.
func own(t *testing.T, uid int, paths ...string) {
	t.Helper()
	for _, path := range paths {
		require.NoError(t, os.Chown(path, uid, uid))
	}
}

// sub makes a directory of nobody's.
func sub(t *testing.T, dir, name string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, os.Mkdir(path, 0o700))
	own(t, nobody, path)
	return path
}

// states returns the states of the files that are not served.
func states(a *Aggregator) map[string]inspect.FileState {
	out := map[string]inspect.FileState{}
	for _, f := range inspect.Files(a) {
		if f.State != inspect.OK {
			out[f.Name] = f.State
		}
	}
	return out
}

// TestFilesOfOthers: in a world-writable directory anybody can put a file.
func TestFilesOfOthers(t *testing.T) {
	dir := child(t, true, func(dir string) {
		own(t, nobody, dir)
		require.NoError(t, os.Chmod(dir, 0o777))
		own(t, nobody, dead(t, dir, "mine", 1, 1))
		path := dead(t, dir, "theirs", 2, 20)
		own(t, stranger, path)
		require.NoError(t, os.Chmod(path, 0o644))
		path = dead(t, dir, "unreadable", 3, 300)
		own(t, nobody, path)
		require.NoError(t, os.Chmod(path, 0))
	})
	if dir == "" {
		return
	}
	before := listing(t, dir)
	for _, c := range []struct {
		trust []int
		want  float64
		left  map[inspect.FileState]error
	}{
		{nil, 1, map[inspect.FileState]error{inspect.Untrusted: mpm.ErrNotTrusted, inspect.Unreadable: fs.ErrPermission}},
		{[]int{stranger}, 21, map[inspect.FileState]error{inspect.Unreadable: fs.ErrPermission}},
	} {
		a := openDir(t, dir, Options{TrustUIDs: c.trust})
		got := gather(t, a)
		require.Equal(t, c.want, got["c_total"])
		for _, s := range inspect.FileStates[1:] {
			want := 0
			if c.left[s] != nil {
				want = 1
			}
			require.EqualValues(t, want, got[`multiprom_files{state="`+string(s)+`"}`], s)
		}
		for _, f := range inspect.Files(a) {
			if f.Err != nil {
				require.ErrorIs(t, f.Err, c.left[f.State])
				require.ErrorContains(t, f.Err, filepath.Join(dir, f.Name))
			}
		}
		state := states(a)
		r, err := Compact(t.Context(), dir, CompactOptions{TrustUIDs: c.trust})
		require.NoError(t, err)
		require.Len(t, r.Compacted, 1)
		require.Len(t, r.Left, len(c.left))
		for _, left := range r.Left {
			require.ErrorIs(t, left.Reason, c.left[state[left.Name]])
			require.Equal(t, before[left.Name], listing(t, dir)[left.Name])
		}
		require.Equal(t, c.want, gather(t, a)["c_total"])
	}
	require.Len(t, names(t, dir), 2, "the unreadable one, and the archive")
}

// TestDirectoriesWithoutPermission: what may not be read fails the scrape, what
// may not be written only the compaction.
func TestDirectoriesWithoutPermission(t *testing.T) {
	dir := child(t, true, func(dir string) {
		own(t, nobody, dir)
		for name, mode := range map[string]os.FileMode{"unwritable": 0o500, "unreadable": 0o300, "unsearchable": 0o600} {
			d := sub(t, dir, name)
			own(t, nobody, dead(t, d, "a", 1, 1))
			compactDir(t, d)
			own(t, nobody, dead(t, d, "b", 2, 20))
			require.NoError(t, os.Chmod(d, mode))
		}
	})
	if dir == "" {
		return
	}
	path := filepath.Join(dir, "unwritable")
	warm := openDir(t, path, Options{})
	require.EqualValues(t, 21, gather(t, warm)["c_total"])
	before := listing(t, path)
	for _, run := range []func() error{
		func() error { _, err := Compact(t.Context(), path, CompactOptions{}); return err },
		func() error { _, err := Wipe(path, true); return err },
	} {
		err := run()
		require.ErrorIs(t, err, fs.ErrPermission)
		require.ErrorContains(t, err, path)
		require.Equal(t, before, listing(t, path))
		require.EqualValues(t, 21, gather(t, warm)["c_total"])
		require.EqualValues(t, 21, gather(t, openDir(t, path, Options{}))["c_total"])
	}

	for _, name := range []string{"unreadable", "unsearchable"} {
		path := filepath.Join(dir, name)
		_, err := openDir(t, path, Options{}).Gather(t.Context())
		require.ErrorIs(t, err, fs.ErrPermission, name)
		require.ErrorContains(t, err, path)
		_, err = Compact(t.Context(), path, CompactOptions{})
		require.ErrorIs(t, err, fs.ErrPermission, name)
		require.NoError(t, os.Chmod(path, 0o700))
		require.Len(t, names(t, path), 2, "nothing changed")
		require.EqualValues(t, 21, gather(t, openDir(t, path, Options{}))["c_total"])
	}
}

// TestArchiveWithoutPermission: without the archive every counter would fall.
func TestArchiveWithoutPermission(t *testing.T) {
	dir := child(t, true, func(dir string) {
		own(t, nobody, dir)
		for name, uid := range map[string]int{"unreadable": nobody, "untrusted": stranger} {
			d := sub(t, dir, name)
			dead(t, d, "a", 1, 1)
			compactDir(t, d)
			own(t, nobody, dead(t, d, "b", 2, 20))
			archive := filepath.Join(d, mpm.ArchiveName)
			own(t, uid, archive)
			require.NoError(t, os.Chmod(archive, 0o644))
		}
	})
	if dir == "" {
		return
	}
	for name, reason := range map[string]error{"unreadable": fs.ErrPermission, "untrusted": mpm.ErrNotTrusted} {
		path := filepath.Join(dir, name)
		archive := filepath.Join(path, mpm.ArchiveName)
		warm := openDir(t, path, Options{TrustUIDs: []int{stranger}})
		require.EqualValues(t, 21, gather(t, warm)["c_total"])
		if name == "unreadable" {
			require.NoError(t, os.Chmod(archive, 0))
			require.EqualValues(t, 21, gather(t, warm)["c_total"], "the last good one stands in")
			require.Equal(t, map[string]inspect.FileState{mpm.ArchiveName: inspect.Unreadable}, states(warm))
		}
		before := listing(t, path)
		a := openDir(t, path, Options{})
		if name == "untrusted" { // by a reader that knows of no archive it is left out
			require.EqualValues(t, 20, gather(t, a)["c_total"])
			require.Equal(t, map[string]inspect.FileState{mpm.ArchiveName: inspect.Untrusted}, states(a))
		} else {
			_, err := a.Gather(t.Context())
			require.ErrorIs(t, err, reason)
			require.ErrorContains(t, err, archive)
		}
		_, err := Compact(t.Context(), path, CompactOptions{})
		require.ErrorIs(t, err, reason)
		require.ErrorContains(t, err, archive)
		require.Equal(t, before, listing(t, path))
	}
}

// limit lowers a limit of this process.
func limit(t *testing.T, resource int, n uint64) {
	t.Helper()
	var l unix.Rlimit
	require.NoError(t, unix.Getrlimit(resource, &l))
	l.Cur = n
	require.NoError(t, unix.Setrlimit(resource, &l))
}

// TestFileSizeLimit compacts where no file may be larger than two pages: the
// archive does not fit, and all stays as it was.
func TestFileSizeLimit(t *testing.T) {
	dir := child(t, false, func(dir string) {
		dead(t, dir, "a", 1, 1)
		compactDir(t, dir)
		p := newProcess(t, t.TempDir(), "b", 2)
		f, err := p.AddSchema(counter("many", "l"))
		require.NoError(t, err)
		for i := range 500 {
			s, err := p.AddSeries(f, []string{strconv.Itoa(i)}, nil)
			require.NoError(t, err)
			s.Words()[mpm.CellCounterInts] = uint64(i)
		}
		die(t, p.Store, dir)
	})
	if dir == "" {
		return
	}
	opts := Options{NoSelfMetrics: true}
	before, files := view(t, openDir(t, dir, opts)), listing(t, dir)
	var old unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_FSIZE, &old))
	limit(t, unix.RLIMIT_FSIZE, 8192)
	_, err := Compact(t.Context(), dir, CompactOptions{})
	require.ErrorIs(t, err, mpm.ErrFull)
	require.ErrorIs(t, err, syscall.EFBIG)
	require.Equal(t, files, listing(t, dir), "no temporary file stays either")
	require.Equal(t, before, view(t, openDir(t, dir, opts)))
	limit(t, unix.RLIMIT_FSIZE, old.Cur)
	require.Len(t, compactDir(t, dir).Compacted, 1)
	require.Equal(t, before, view(t, openDir(t, dir, opts)))
}

// TestManyDeadFiles reads and compacts far more files than the process may have
// descriptors. MULTIPROM_MANY_FILES is how many: more than 65,530 exceed the
// mappings that a process may have, too.
func TestManyDeadFiles(t *testing.T) {
	many := 3000
	if n, err := strconv.Atoi(os.Getenv("MULTIPROM_MANY_FILES")); err == nil {
		many = n
	}
	dir := child(t, false, func(dir string) {
		p := newProcess(t, t.TempDir(), "slot", 1)
		p.count(counter("c"), 3)
		setGauge(p.add(gauge("g", metric.ModeSum)), 0.1)
		b, err := os.ReadFile(p.Path())
		require.NoError(t, err)
		for i := range many {
			sparseCopy(t, dir, b, i)
		}
	})
	if dir == "" {
		return
	}
	limit(t, unix.RLIMIT_NOFILE, 256)
	mappings := func() int {
		b, err := os.ReadFile("/proc/self/maps")
		require.NoError(t, err)
		return strings.Count(string(b), "\n")
	}
	heap := func() float64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc) / (1 << 20)
	}
	before, heapBefore := mappings(), heap()
	a := openDir(t, dir, Options{})
	var took [3]time.Duration
	check := func(i int) {
		t.Helper()
		start := time.Now()
		got := gather(t, a)
		took[i] = time.Since(start)
		require.EqualValues(t, 3*many, got["c_total"])
		require.InEpsilon(t, 0.1*float64(many), got["g"], 1e-15)
	}
	check(0)
	require.EqualValues(t, many, gather(t, a)[`multiprom_files{state="ok"}`])
	check(1)
	heapRead := heap() - heapBefore
	require.Less(t, mappings(), before+100, "dead files stay neither mapped nor open")
	start := time.Now()
	r := compactDir(t, dir)
	compacting := time.Since(start)
	require.Len(t, r.Compacted, many)
	require.Empty(t, r.Left)
	require.Equal(t, []string{mpm.ArchiveName}, names(t, dir))
	check(2)
	t.Logf("%d files: first scrape %v, second %v, after the compaction %v; compact %v; heap of the reader %.1f MiB, after the compaction %.1f MiB; most resident %d MiB",
		many, took[0].Round(time.Millisecond), took[1].Round(time.Millisecond), took[2].Round(time.Millisecond),
		compacting.Round(time.Millisecond), heapRead, heap()-heapBefore, mostResident(t)>>10)
}

// mostResident returns the most memory that the process ever had, in KiB.
func mostResident(t *testing.T) int64 {
	t.Helper()
	var u unix.Rusage
	require.NoError(t, unix.Getrusage(unix.RUSAGE_SELF, &u))
	return int64(u.Maxrss)
}

// sparseCopy writes a file under another identity; its pages without content
// are holes.
func sparseCopy(t *testing.T, dir string, b []byte, i int) {
	t.Helper()
	inc := mpm.Incarnation{byte(i), byte(i >> 8), byte(i >> 16), 1}
	mend(b, i, inc)
	h := mpm.Header{PID: i, Incarnation: inc}
	f, err := os.Create(filepath.Join(dir, h.FileName()))
	require.NoError(t, err)
	defer f.Close()
	require.NoError(t, f.Truncate(int64(len(b))))
	const page = 4096
	for off := 0; off < len(b); off += mpm.BlockSize {
		_, err = f.WriteAt(b[off:off+page], int64(off))
		require.NoError(t, err)
	}
}

// TestExchangedDirectories swaps two directories all the time while both are
// compacted and read: each operation sees one of them whole.
func TestExchangedDirectories(t *testing.T) {
	root := t.TempDir()
	paths := [2]string{filepath.Join(root, "a"), filepath.Join(root, "b")}
	for i, path := range paths {
		require.NoError(t, os.Mkdir(path, 0o700))
		newProcess(t, path, "live", 1).count(counter(fmt.Sprintf("of_%d", i)), 1)
	}
	// By descriptor, whatever the names are.
	var fixed [2]string
	for i, path := range paths {
		d, err := os.Open(path)
		require.NoError(t, err)
		defer d.Close()
		fixed[i] = fmt.Sprintf("/proc/self/fd/%d", d.Fd())
	}
	stop := make(chan struct{})
	var running sync.WaitGroup
	loop := func(fn func() error) {
		running.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := fn(); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	loop(func() error {
		return unix.Renameat2(unix.AT_FDCWD, paths[0], unix.AT_FDCWD, paths[1], unix.RENAME_EXCHANGE)
	})
	for _, path := range paths {
		ctx := t.Context()
		compactor, err := NewCompactor(path, CompactorOptions{CompactOptions: CompactOptions{Threshold: 1}})
		require.NoError(t, err)
		loop(func() error { compactor.compact(ctx, compactor.opts.CompactOptions); return nil })
		a := openDir(t, path, Options{})
		loop(func() error {
			families, err := a.Gather(ctx)
			got := flatten(families)
			if err == nil && (got["of_0_total"] == 0) == (got["of_1_total"] == 0) {
				return fmt.Errorf("a scrape must see one directory: %v and %v", got["of_0_total"], got["of_1_total"])
			}
			return err
		})
	}
	var counts [2]float64
	for i := range 60 {
		dead(t, fixed[i%2], "dead", int64(i), uint64(i))
		counts[i%2] += float64(i)
	}
	close(stop)
	running.Wait()
	for i, path := range fixed {
		got := gather(t, openDir(t, path, Options{}))
		require.Equal(t, counts[i], got["c_total"])
		require.EqualValues(t, 1, got[fmt.Sprintf("of_%d_total", i)])
		compactDir(t, path)
		left := slices.DeleteFunc(names(t, path), func(name string) bool { return name == mpm.StagedName }) // the reserve
		require.Len(t, left, 2, "the living, and the archive")
	}
}
