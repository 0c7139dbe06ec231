//go:build unix

package integration

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/edsrzf/mmap-go"
	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/internal/inspect"
)

// The role exists where its files can grow while they are mapped.
func init() { roles["timed"] = timedRole }

const (
	timedBatch    = 100
	timedSeries   = 2_500 // of a kilobyte each: the file doubles twice
	timedPerPath  = 5     // rounds between two new series
	timedInitSize = 1 << 20
)

// timedDict is a file as client_python has written it since 0.18: a value and its time
// follow each key.
type timedDict struct {
	file      *os.File
	data      mmap.MMap
	used      int
	positions map[string]int
}

func newTimedDict(prefix string) (d *timedDict, err error) {
	name := fmt.Sprintf("%s_%d.db", prefix, os.Getpid())
	d = &timedDict{used: 8, positions: map[string]int{}}
	if d.file, err = os.OpenFile(filepath.Join(os.Getenv("PROMETHEUS_MULTIPROC_DIR"), name), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
		return nil, err
	}
	if err = d.resize(timedInitSize); err != nil {
		return nil, err
	}
	binary.NativeEndian.PutUint32(d.data, 8)
	return d, nil
}

// resize maps the file again. The old mapping stays until the process ends; Python's stays
// until it is collected.
func (d *timedDict) resize(size int) (err error) {
	if err = d.file.Truncate(int64(size)); err != nil {
		return err
	}
	d.data, err = mmap.Map(d.file, mmap.RDWR, 0)
	return err
}

// position returns the position of a key's value. It appends a record for a new key: the
// record first, then the length in use.
func (d *timedDict) position(key string) (int, error) {
	if pos, ok := d.positions[key]; ok {
		return pos, nil
	}
	record := binary.NativeEndian.AppendUint32(nil, uint32(len(key)))
	record = append(record, key...)
	record = append(record, strings.Repeat(" ", 8-len(record)%8)...)
	record = append(record, make([]byte, 16)...)
	for d.used+len(record) > len(d.data) {
		if err := d.resize(2 * len(d.data)); err != nil {
			return 0, err
		}
	}
	copy(d.data[d.used:], record)
	d.used += len(record)
	// One store, as in Python. With -race, PutUint32 would store byte by byte.
	atomic.StoreUint32((*uint32)(unsafe.Pointer(&d.data[0])), uint32(d.used))
	d.positions[key] = d.used - 16
	return d.used - 16, nil
}

func (d *timedDict) set(key string, value float64, at time.Time) error {
	pos, err := d.position(key)
	if err != nil {
		return err
	}
	var b [16]byte
	binary.NativeEndian.PutUint64(b[:], math.Float64bits(value))
	if !at.IsZero() {
		binary.NativeEndian.PutUint64(b[8:], math.Float64bits(float64(at.UnixMicro())/1e6))
	}
	copy(d.data[pos:], b[:])
	return nil
}

func (d *timedDict) inc(key string, by float64) error {
	pos, err := d.position(key)
	if err != nil {
		return err
	}
	return d.set(key, math.Float64frombits(binary.NativeEndian.Uint64(d.data[pos:]))+by, time.Time{})
}

// timedRole makes as many rounds as each line of its input says. Before each batch it
// prints how many rounds it will have begun, and after it how many it has made.
func timedRole() error {
	dicts := map[string]*timedDict{}
	for _, prefix := range []string{"counter", "histogram", "summary", "gauge_mostrecent", "gauge_livemostrecent", "gauge_livesum", "gauge_all"} {
		var err error
		if dicts[prefix], err = newTimedDict(prefix); err != nil {
			return err
		}
	}
	made := 0
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		n, err := strconv.Atoi(lines.Text())
		if err != nil {
			return err
		}
		for end := made + n; made < end; {
			fmt.Printf("attempt %d\n", made+timedBatch)
			for range timedBatch {
				if err := timedRound(dicts, made); err != nil {
					return err
				}
				made++
			}
			fmt.Printf("done %d\n", made)
		}
		fmt.Println("end")
	}
	return block()
}

// timedRound is one round of updates, in client_python's order.
func timedRound(dicts map[string]*timedDict, n int) error {
	path := n / timedPerPath % timedSeries
	if err := dicts["counter"].inc(fmt.Sprintf(`["tw", "tw_total", {"path": "/%0*d"}, "Rounds \u2603."]`, 1000, path), 1); err != nil {
		return err
	}
	if err := dicts["histogram"].inc(`["tw_seconds", "tw_seconds_sum", {}, "Time."]`, 0.5); err != nil {
		return err
	}
	le := []string{"0.1", "1.0", "+Inf"}[n%3]
	if err := dicts["histogram"].inc(`["tw_seconds", "tw_seconds_bucket", {"le": "`+le+`"}, "Time."]`, 1); err != nil {
		return err
	}
	for _, suffix := range []string{"count", "sum"} {
		if err := dicts["summary"].inc(`["tw_bytes", "tw_bytes_`+suffix+`", {}, "Bytes."]`, 1); err != nil {
			return err
		}
	}
	for _, mode := range []string{"mostrecent", "livemostrecent", "livesum", "all"} {
		key := `["tw_` + mode + `", "tw_` + mode + `", {}, "Gauge."]`
		if err := dicts["gauge_"+mode].set(key, timedValue(os.Getpid(), n), time.Now()); err != nil {
			return err
		}
	}
	return nil
}

// timedValue is what a process sets its gauges to. It identifies the process and the round.
func timedValue(pid, round int) float64 { return float64(pid)*1e9 + float64(round) }

// timedWriter is the test's side of the role.
type timedWriter struct {
	*helper
	attempted, made atomic.Int64
}

// write has the role make n rounds, or kills it right after a batch that killAt chooses.
func (w *timedWriter) write(n, killAt int) {
	fmt.Fprintln(w.stdin, n)
	for w.lines.Scan() {
		what, count, _ := strings.Cut(w.lines.Text(), " ")
		i, _ := strconv.Atoi(count)
		switch what {
		case "attempt":
			w.attempted.Store(int64(i))
		case "done":
			w.made.Store(int64(i))
		case "end":
			return
		}
		if i > killAt {
			w.Process.Kill() // it goes on until the signal arrives
		}
	}
	w.kill()
}

// TestTimedWriter: processes that write today's files of client_python are killed while they
// write. acknowledged <= merged <= attempted holds, no counter that a reader sees falls, and
// for mostrecent gauges the newest value is served.
func TestTimedWriter(t *testing.T) {
	dir := t.TempDir()
	a, err := aggregate.Open(dir, aggregate.Options{NoSelfMetrics: true})
	require.NoError(t, err)
	defer a.Close()
	const most = 20_000
	var writers [4]timedWriter
	var wg sync.WaitGroup
	stop := neverFalls(t, a)
	for i := range writers {
		w := &writers[i]
		w.helper = start(t, "timed", dir)
		killAt := timedBatch + rand.IntN(most-timedBatch)
		if i == 0 {
			killAt = math.MaxInt // this one lives on
		}
		wg.Go(func() { w.write(most, killAt) })
	}
	wg.Wait()
	last := &writers[0]
	last.write(timedBatch, math.MaxInt) // after all deaths
	scrapes := stop()
	require.EqualValues(t, most+timedBatch, last.made.Load())

	text := serve(t, a)
	lo, hi := 0.0, 0.0
	for i := range writers {
		lo, hi = lo+float64(writers[i].made.Load()), hi+float64(writers[i].attempted.Load())
	}
	total := 0.0
	for _, s := range vectorOf(t, text, "tw_total") {
		total += float64(s.Value)
	}
	for name, v := range map[string]float64{
		"counter": total, "histogram": valueOf(t, text, "tw_seconds_count"), "histogram's sum": 2 * valueOf(t, text, "tw_seconds_sum"),
		"summary": valueOf(t, text, "tw_bytes_count"), "summary's sum": valueOf(t, text, "tw_bytes_sum"),
	} {
		require.GreaterOrEqual(t, v, lo, "%s: acknowledged rounds are missing", name)
		require.LessOrEqual(t, v, hi, "%s: more than was attempted", name)
	}
	newest := timedValue(last.Process.Pid, int(last.made.Load())-1)
	require.Equal(t, newest, valueOf(t, text, "tw_mostrecent"))
	require.Equal(t, newest, valueOf(t, text, "tw_livemostrecent"))
	require.Len(t, vectorOf(t, text, "tw_all"), len(writers))
	info, err := os.Stat(filepath.Join(dir, fmt.Sprintf("counter_%d.db", last.Process.Pid)))
	require.NoError(t, err)
	require.EqualValues(t, 4*timedInitSize, info.Size(), "it has doubled twice")
	for _, f := range inspect.Files(a) {
		require.NoError(t, f.Err)
	}
	t.Logf("%v acknowledged <= merged %v <= %v attempted, %d scrapes", lo, total, hi, scrapes)

	// Without the last process's live gauges, another process's value is the most recent.
	markDead := func(w *timedWriter) {
		t.Helper()
		out, err := exec.Command(mpctl(t), "mark-dead", strconv.Itoa(w.Process.Pid), "--dir", dir).CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	require.NoError(t, last.Process.Kill())
	markDead(last)
	text = serve(t, a)
	require.Equal(t, newest, valueOf(t, text, "tw_mostrecent"), "it is no live gauge")
	v, found := valueOf(t, text, "tw_livemostrecent"), 0
	for i := range writers[1:] {
		w := &writers[1+i]
		if v >= timedValue(w.Process.Pid, int(w.made.Load())-1) && v < timedValue(w.Process.Pid, int(w.attempted.Load())) {
			found++
		}
	}
	require.Equal(t, 1, found, "%v is of none of the others", v)
	for i := range writers[1:] {
		markDead(&writers[1+i])
	}
	text = serve(t, a)
	for _, name := range []string{"tw_livemostrecent", "tw_livesum"} {
		require.Empty(t, vectorOf(t, text, name), name)
	}
	require.Len(t, vectorOf(t, text, "tw_all"), len(writers))
	require.Equal(t, newest, valueOf(t, text, "tw_mostrecent"))
}
