package integration

import (
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// The conformance pack: files of each writer, and what they hold.
const pack = "../docs/format/conformance"

var updatePack = flag.Bool("update-conformance", false, "write the conformance pack again")

// packWriters write the directories of the pack, by name.
var packWriters = map[string]func(t *testing.T, dir string){
	"go-types":     goTypes,
	"go-churn":     goChurn,
	"go-native":    goNative,
	"python-types": func(t *testing.T, dir string) { runNative(t, nativePython(t, dir, "native_types.py")) },
	"python-churn": func(t *testing.T, dir string) { runNative(t, nativePython(t, dir, "native_churn.py")) },
}

func runNative(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// packFile is what a file holds, as reader.py prints it.
type packFile struct {
	File     string       `json:"file"`
	Process  string       `json:"process"`
	Families []packFamily `json:"families"`
	Series   []packSeries `json:"series"`
}

type packFamily struct {
	Name   string      `json:"name"`
	Help   string      `json:"help"`
	Unit   string      `json:"unit"`
	Type   string      `json:"type"`
	Mode   string      `json:"mode"`
	TTL    int         `json:"ttl"`
	Bounds []string    `json:"bounds"`
	Labels []string    `json:"labels"`
	Const  [][2]string `json:"const"`
	States []string    `json:"states"`

	Native *packNative `json:"native,omitempty"` // of a histogram with native buckets
}

type packNative struct {
	Schema    int    `json:"schema"`
	Limit     int    `json:"limit"`
	Exemplars int    `json:"exemplars"`
	Threshold string `json:"threshold"`
}

type packSeries struct {
	Offset    int64          `json:"offset"`
	Family    int            `json:"family"`
	State     string         `json:"state"`
	Created   int64          `json:"created"`
	Removed   int64          `json:"removed"`
	Values    []string       `json:"values"`
	Extra     [][2]string    `json:"extra"`
	Words     []string       `json:"words"`
	Exemplars []packExemplar `json:"exemplars"`
	Regions   []packRegion   `json:"regions,omitempty"`
}

type packRegion struct {
	Offset   int64    `json:"offset"`
	Schema   int      `json:"schema"`
	Negative bool     `json:"negative"`
	Number   int32    `json:"number"`
	Words    []string `json:"words"`
}

type packExemplar struct {
	Bucket int         `json:"bucket"`
	Time   int64       `json:"time"`
	Value  string      `json:"value"`
	Labels [][2]string `json:"labels"`
}

func hex(bits uint64) string { return fmt.Sprintf("%016x", bits) }

func pairs(labels metric.Labels) [][2]string {
	out := [][2]string{}
	for _, l := range labels {
		out = append(out, [2]string{l.Name, l.Value})
	}
	return out
}

// readPack reads the files of a directory.
func readPack(t *testing.T, dir string) (out []packFile) {
	t.Helper()
	for _, path := range native(t, dir) {
		r, err := mpm.Open(path, mpm.ReadOptions{})
		require.NoError(t, err)
		require.NoError(t, r.Refresh())
		f := packFile{File: filepath.Base(path), Process: r.Header().Label, Series: []packSeries{}}
		number := map[*metric.Schema]int{}
		for i, s := range r.Schemas() {
			number[s] = i
			family := packFamily{
				Name: s.Name, Help: s.Help, Unit: s.Unit, Type: s.Type.String(), Mode: s.Mode.String(), TTL: int(s.TTL / time.Second),
				Bounds: []string{}, Labels: append([]string{}, s.Labels...), Const: pairs(s.Const), States: append([]string{}, s.States...),
			}
			for _, b := range s.Bounds {
				family.Bounds = append(family.Bounds, hex(math.Float64bits(b)))
			}
			if n := s.Native; n != nil {
				family.Native = &packNative{n.Schema, n.MaxBuckets, n.MaxExemplars, hex(math.Float64bits(n.ZeroThreshold))}
			}
			f.Families = append(f.Families, family)
		}
		add := func(infos []mpm.SeriesInfo, state string) {
			for _, i := range infos {
				s := packSeries{
					Offset: i.Offset(), Family: number[i.Schema], State: state, Created: i.CreatedNanos(), Removed: i.RemovedNanos(),
					Values: append([]string{}, i.Values()...), Extra: pairs(i.Extra()), Words: []string{}, Exemplars: []packExemplar{},
				}
				for _, w := range i.Words() {
					s.Words = append(s.Words, hex(w))
				}
				f.Series = append(f.Series, s)
			}
		}
		live := r.Series()
		add(live, "live")
		for _, e := range r.Exemplars() {
			if x, _ := e.Load(); x != nil {
				s := &f.Series[e.Series]
				s.Exemplars = append(s.Exemplars, packExemplar{e.Bucket, x.Timestamp.UnixNano(), hex(math.Float64bits(x.Value)), pairs(x.Labels)})
			}
		}
		add(r.Removed(), "removed")
		for _, region := range r.Regions() {
			of := region.Series
			if region.Removed {
				of += len(live)
			}
			p := packRegion{Offset: region.Offset, Schema: region.Schema, Negative: region.Negative, Number: region.Number}
			for i := range region.Counts {
				p.Words = append(p.Words, hex(atomic.LoadUint64(&region.Counts[i])))
			}
			f.Series[of].Regions = append(f.Series[of].Regions, p)
		}
		for _, s := range f.Series {
			slices.SortFunc(s.Exemplars, func(a, b packExemplar) int { return a.Bucket - b.Bucket })
			slices.SortFunc(s.Regions, func(a, b packRegion) int { return int(a.Offset - b.Offset) })
		}
		slices.SortFunc(f.Series, func(a, b packSeries) int { return int(a.Offset - b.Offset) })
		out = append(out, f)
		r.Close()
	}
	return out
}

// TestConformancePack: our reader and the pack's small one read from every directory of the pack
// what it is known to hold, and the merged view is the known one. -update-conformance has the
// writers write all again.
func TestConformancePack(t *testing.T) {
	for name, write := range packWriters {
		t.Run(name, func(t *testing.T) {
			root := filepath.Join(pack, name)
			in := filepath.Join(root, "in")
			if *updatePack {
				require.NoError(t, os.RemoveAll(root))
				require.NoError(t, os.MkdirAll(in, 0o755))
				write(t, in)
			}
			dir := t.TempDir() // a checkout's files may belong to somebody else
			require.NoError(t, os.CopyFS(dir, os.DirFS(in)))
			then := packTime(t, dir) // later, its series with a TTL expire
			a, err := aggregate.Open(dir, aggregate.Options{NoSelfMetrics: true, Now: func() time.Time { return then }})
			require.NoError(t, err)
			defer a.Close()
			view := serve(t, a)
			got, err := json.MarshalIndent(readPack(t, dir), "", " ")
			require.NoError(t, err)
			if *updatePack {
				require.NoError(t, os.WriteFile(filepath.Join(root, "expected.json"), append(got, '\n'), 0o644))
				require.NoError(t, os.WriteFile(filepath.Join(root, "view.txt"), view, 0o644))
			}
			want, err := os.ReadFile(filepath.Join(root, "expected.json"))
			require.NoError(t, err)
			require.JSONEq(t, string(want), string(got))
			wantView, err := os.ReadFile(filepath.Join(root, "view.txt"))
			require.NoError(t, err)
			require.Equal(t, string(wantView), string(view))
			smallReader(t, dir, string(want))
		})
	}
}

// packTime returns the time of which view.txt is: a minute after the newest file was made.
func packTime(t *testing.T, dir string) (then time.Time) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.mpm"))
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	for _, path := range paths {
		r, err := mpm.Open(path, mpm.ReadOptions{})
		require.NoError(t, err)
		if made := r.Header().Created.Add(time.Minute); made.After(then) {
			then = made
		}
		require.NoError(t, r.Close())
	}
	return then
}

// TestConformanceOfWriters: what the writers write today is read alike by both readers, and
// `mpctl check --writer` finds nothing.
func TestConformanceOfWriters(t *testing.T) {
	for name, write := range packWriters {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir)
			got, err := json.Marshal(readPack(t, dir))
			require.NoError(t, err)
			require.Greater(t, strings.Count(string(got), `"offset"`), 10)
			smallReader(t, dir, string(got))
			checkWriter(t, dir)
		})
	}
}

// smallReader compares what the pack's reader prints.
func smallReader(t *testing.T, dir, want string) {
	t.Helper()
	needCommand(t, python)
	cmd := exec.Command(python, pack+"/reader.py", dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	require.NoError(t, err)
	require.JSONEq(t, want, string(out))
}
