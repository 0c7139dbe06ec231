package pyfile

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/internal/pyfiletest"
	"github.com/multiprom/multiprom/metric"
)

// content returns a file with these records.
func content(stride int, samples ...sample) []byte {
	return pyfiletest.Stride(stride).Content(samples...)
}

type sample = pyfiletest.Sample

type fixture struct {
	t    *testing.T
	dir  *mpm.Dir
	name string
}

func newFixture(t *testing.T, name string, b []byte) *fixture {
	t.Helper()
	d, err := mpm.OpenDir(t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { d.Close() })
	f := &fixture{t, d, name}
	f.write(b)
	return f
}

// write changes the file in place, like its writer.
func (f *fixture) write(b []byte) {
	file, err := os.OpenFile(f.dir.Join(f.name), os.O_RDWR|os.O_CREATE, 0o600)
	require.NoError(f.t, err)
	_, err = file.WriteAt(b, 0)
	require.NoError(f.t, err)
	require.NoError(f.t, file.Close())
}

func (f *fixture) open() *Reader {
	r, err := Open(f.dir, f.name, &Keys{}, mpm.ReadOptions{})
	require.NoError(f.t, err)
	f.t.Cleanup(func() { r.Close() })
	require.NoError(f.t, r.Refresh(f.dir))
	return r
}

// lines returns the records: series, part, value and, if there is one, time.
func lines(r *Reader) (out []string) {
	values := r.AppendValues(nil)
	for _, n := range r.Records() {
		k := r.Keys().Keys()[n]
		line := r.Keys().Families()[r.Keys().FamilyOf(k.Series)].Name + r.Keys().AppendLabels(nil, k.Series).String()
		switch k.Part {
		case Count:
			line += " count"
		case Bucket:
			line += fmt.Sprintf(" le %v", k.Bound)
		}
		for range r.Words() {
			line += fmt.Sprint(" ", math.Float64frombits(values[0]))
			values = values[1:]
		}
		out = append(out, line)
	}
	return out
}

// TestStrides: the stride is found from the content.
func TestStrides(t *testing.T) {
	for _, stride := range []int{strideSimple, strideTimed} {
		for n := range 20 {
			var samples []sample
			var want []string
			for i := range n {
				samples = append(samples, sample{Key: fmt.Sprintf(`["c","c_total",{"l":"%s"},"h"]`, strings.Repeat("x", i)), Value: float64(i)})
				want = append(want, fmt.Sprintf(`c{l="%s"} %d`, strings.Repeat("x", i), i))
			}
			r := newFixture(t, "counter_1.db", content(stride, samples...)).open()
			require.Equal(t, want, lines(r), "stride %d, %d records", stride, n)
			require.Empty(t, r.Damaged())
		}
	}
}

func TestDialects(t *testing.T) {
	r := newFixture(t, "counter_a-b.db", content(strideSimple,
		sample{Key: `["c_total","c_total",["b","a"],["2","1"]]`, Value: 3},
		sample{Key: `["d","d_total",{}]`, Value: 4}, // before 0.16
		sample{Key: `["e","e",["f","i","n","t"],[1.5e+30,-200,null,true]]`, Value: 5},
	)).open()
	require.Equal(t, []string{`c{a="1",b="2"} 3`, `d 4`, `e{f="1.5e+30",i="-200",n="",t="true"} 5`}, lines(r))
	require.Equal(t, defaultHelp, r.Schemas()[1].Help)
	require.Equal(t, Name{Type: metric.Counter, ID: "a-b"}, r.Name())
}

// TestRubyHistogram: cumulative buckets are converted, and the count is no damage.
func TestRubyHistogram(t *testing.T) {
	record := func(suffix, le string, n float64) sample {
		return sample{Key: fmt.Sprintf(`["h","h_%s",["a"%s],["x"%s]]`, suffix, strings.Repeat(`,"le"`, min(1, len(le))), le), Value: n}
	}
	samples := []sample{
		record("sum", "", 9), record("count", "", 10), record("bucket", `,"+Inf"`, 10),
		record("bucket", `,"0.5"`, 6), record("bucket", `,"1"`, 6), record("bucket", `,"2"`, 5), // the last lags: a write was in progress
	}
	r := newFixture(t, "histogram_1-0.db", content(strideSimple, samples...)).open()
	require.Equal(t, []string{`h{a="x"} 9`, `h{a="x"} le +Inf 4`, `h{a="x"} le 0.5 6`, `h{a="x"} le 1 0`, `h{a="x"} le 2 0`}, lines(r))
	require.Equal(t, []float64{0.5, 1, 2}, r.Schemas()[0].Bounds)
	require.Empty(t, r.Damaged())
}

// TestGrowth: a known prefix is not parsed again, a histogram that gets more buckets
// changes, and a file that has doubled is mapped again.
func TestGrowth(t *testing.T) {
	bucket := func(le string, n float64) sample {
		return sample{Key: `["h","h_bucket",{"le":"` + le + `"},"H"]`, Value: n}
	}
	samples := []sample{{Key: `["h","h_sum",{},"H"]`, Value: 7}}
	f := newFixture(t, "histogram_1.db", content(strideTimed, samples...))
	r := f.open()
	require.Empty(t, r.Schemas()[0].Bounds, "there is no bucket yet")
	samples = append(samples, bucket("2.0", 1), bucket("+Inf", 1))
	f.write(content(strideTimed, samples...))
	require.NoError(t, r.Refresh(f.dir))
	epoch := r.Epoch()
	want := []string{"h 7", "h le 2 1", "h le +Inf 1"}
	require.Equal(t, want, lines(r))
	require.Equal(t, []float64{2}, r.Schemas()[0].Bounds)

	samples = append(samples, bucket("1.0", 5))
	big := append(content(strideTimed, samples...), make([]byte, 100_000)...)
	native.PutUint32(big, uint32(len(content(strideTimed, samples...))-1000))
	f.write(big)
	require.NoError(t, r.Refresh(f.dir))
	require.Equal(t, epoch+1, r.Epoch())
	want = append(want, "h le 1 5")
	require.Equal(t, want, lines(r))
	require.Equal(t, []float64{1, 2}, r.Schemas()[0].Bounds)
	for range 2000 {
		samples = append(samples, bucket("1.0", 1)) // a key may occur twice
		want = append(want, "h le 1 1")
	}
	f.write(content(strideTimed, samples...))
	require.NoError(t, r.Refresh(f.dir))
	require.Equal(t, want, lines(r))
	require.Empty(t, r.Damaged())

	require.NoError(t, r.Rewind(f.dir, &Keys{}))
	require.Equal(t, want, lines(r))
}

// TestDamageThatIsRepaired: records hidden by a wrong length in use are read as soon as the
// length is right, whichever stride was guessed meanwhile.
func TestDamageThatIsRepaired(t *testing.T) {
	var samples []sample
	var want []string
	for i := range 3 {
		samples = append(samples, sample{Key: fmt.Sprintf(`["c","c_total",{"l":"%d"},"h"]`, i), Value: float64(i)})
		want = append(want, fmt.Sprintf(`c{l="%d"} %d`, i, i))
	}
	for _, stride := range []int{strideSimple, strideTimed} {
		whole := content(stride, samples...)
		right := native.Uint32(whole)
		f := newFixture(t, "counter_1.db", whole)
		for wrong := right - 1; wrong > headerSize; wrong-- {
			native.PutUint32(whole, wrong)
			f.write(whole)
			r := f.open()
			for _, end := range []uint32{right, 1 << 20, right} {
				native.PutUint32(whole, end)
				f.write(whole)
				for range 2 {
					require.NoError(t, r.Refresh(f.dir))
					require.LessOrEqual(t, len(r.Damaged()), 2)
				}
			}
			require.Equal(t, want, lines(r), "stride %d, end %d", stride, wrong)
			require.Empty(t, r.Damaged())
			require.NoError(t, r.Close())
		}
	}
}

// TestSharedKeys: files share their keys, in any order.
func TestSharedKeys(t *testing.T) {
	f := newFixture(t, "counter_1.db", nil)
	var keys Keys
	for n := range 20 {
		var samples []sample
		var want []string
		for _, i := range rand.Perm(10 + n) {
			samples = append(samples, sample{Key: fmt.Sprintf(`["c","c_total",{"l":"%d"},"h"]`, i), Value: float64(i)})
			want = append(want, fmt.Sprintf(`c{l="%d"} %d`, i, i))
		}
		f.name = fmt.Sprintf("counter_%d.db", n)
		f.write(content(strideTimed, samples...))
		r, err := Open(f.dir, f.name, &keys, mpm.ReadOptions{})
		require.NoError(t, err)
		require.NoError(t, r.Refresh(f.dir))
		require.Equal(t, want, lines(r))
		require.NoError(t, r.Close())
		require.Equal(t, 10+n, keys.Len())
	}
}

func TestGauges(t *testing.T) {
	r := newFixture(t, "gauge_livemostrecent_x_y.db", content(strideTimed,
		sample{Key: `["g","g",{},"h"]`, Value: 2, Time: 1.5}, sample{Key: `["g2","g2",{},"h"]`, Value: 0},
	)).open()
	require.Equal(t, Name{Type: metric.Gauge, Mode: metric.ModeLiveMostRecent, ID: "x_y"}, r.Name())
	require.Equal(t, []string{"g 2 1.5", "g2 0 0"}, lines(r))
}

// TestMostRecentWithoutTimes: no client writes such a file, but it must not crash a reader.
func TestMostRecentWithoutTimes(t *testing.T) {
	b := content(strideSimple, sample{Key: `["g","g",{},"h"]`, Value: 2})
	r := newFixture(t, "gauge_mostrecent_1.db", b[:len(b)-1000]).open()
	require.Equal(t, []string{"g 2 0"}, lines(r))
}

func TestNamesThatAreNone(t *testing.T) {
	for _, name := range []string{"gauge_1.db", "gauge_sometimes_1.db", "weird_1.db", "counter_.db", "counter.db", "counter_1.txt"} {
		_, err := ParseName(name)
		require.ErrorIs(t, err, mpm.ErrForeign, name)
		require.ErrorContains(t, err, name)
	}
}

// TestDamageIsReported: everything before the damage is read, and nothing is invented.
func TestDamageIsReported(t *testing.T) {
	good := sample{Key: `["c","c_total",{},"h"]`, Value: 1}
	for _, c := range []struct {
		name   string
		b      []byte
		series int
		want   string
	}{
		{"key that is not JSON", content(strideTimed, sample{Key: `["c","c_total",{"}]`}, good), 1, "not JSON"},
		{"bound that is no number", content(strideTimed, good), 1, ""},
		{"key length", func() []byte {
			b := content(strideTimed, good, good)
			native.PutUint32(b[headerSize+48:], 1<<30)
			return b
		}(), 1, "a key of 1073741824 bytes"},
		{"used beyond the end", func() []byte {
			b := content(strideTimed, good)
			native.PutUint32(b, 1<<20)
			return b
		}(), 1, "bytes in use of a file of"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newFixture(t, "counter_1.db", c.b).open()
			require.Len(t, r.Records(), c.series)
			if c.want == "" {
				require.Empty(t, r.Damaged())
				return
			}
			require.NotEmpty(t, r.Damaged())
			require.Contains(t, r.Damaged()[0].Error(), c.want)
			require.Contains(t, r.Damaged()[0].Error(), filepath.Base(r.path))
		})
	}
	_, err := Open(newFixture(t, "counter_1.db", nil).dir, "counter_1.db", &Keys{}, mpm.ReadOptions{})
	require.ErrorIs(t, err, mpm.ErrCorrupt)
}

// FuzzKey compares parseKey with encoding/json.
func FuzzKey(f *testing.F) {
	for _, s := range []string{
		`["c", "c_total", {"l": "v"}, "help"]`, `["c","c_total",{}]`, ` [ "c" , "c" , { "a" : "\u003c\ud83d\ude00\n\"\\\/\b\f\r\t" } , "" ] `,
		`["\ud800x","c",{"a":"1","a":"2"},"h"]`, `["c","c",["a"],["1"]]`, `["c","c",["a","b","c","d"],[-1.5e+30,true , null,"x"]]`, `["c","c",["a"],[01]]`, `["c","c",["a"],[[]]]`, `["c","c",{"a":1},"h"]`, "[\"\xff\",\"c\",{},\"h\"]", `[`, `["c","c",{"a":"b",},"h"]`,
		`["\ud83d\u0041","é😀",{},"h"]`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := parseKey(string(b))
		want, ok := slowKey(b)
		require.Equal(t, ok, err == nil, "%q: %v", b, err)
		if ok {
			require.Equal(t, want, got)
		}
	})
}

// slowKey is parseKey implemented with encoding/json.
func slowKey(b []byte) (k key, ok bool) {
	var parts []json.RawMessage
	if !utf8.Valid(b) || json.Unmarshal(b, &parts) != nil || len(parts) < 3 || len(parts) > 4 {
		return k, false
	}
	str := func(raw json.RawMessage, dst *string) bool {
		return raw[0] == '"' && json.Unmarshal(raw, dst) == nil
	}
	if !str(parts[0], &k.family) || !str(parts[1], &k.sample) {
		return k, false
	}
	var names, values []json.RawMessage
	switch parts[2][0] {
	case '{':
		if len(parts) == 4 && !str(parts[3], &k.help) {
			return k, false
		}
		d := json.NewDecoder(strings.NewReader(string(parts[2])))
		_, _ = d.Token()
		for d.More() {
			var value json.RawMessage
			name, _ := d.Token()
			if d.Decode(&value) != nil {
				return k, false
			}
			raw, _ := json.Marshal(name)
			names, values = append(names, raw), append(values, value)
		}
	case '[':
		k.ruby = true
		if len(parts) != 4 || json.Unmarshal(parts[2], &names) != nil || json.Unmarshal(parts[3], &values) != nil || parts[3][0] != '[' {
			return k, false
		}
	default:
		return k, false
	}
	if len(names) != len(values) {
		return k, false
	}
	for i := range names {
		var l metric.Label
		if !str(names[i], &l.Name) {
			return k, false
		}
		switch v := values[i]; {
		case v[0] == '"':
			if !str(v, &l.Value) {
				return k, false
			}
		case !k.ruby || v[0] == '[' || v[0] == '{':
			return k, false
		case string(v) != "null":
			l.Value = string(v)
		}
		k.labels = append(k.labels, l)
	}
	k.labels.Sort()
	for i := 1; i < len(k.labels); i++ {
		if k.labels[i-1].Name == k.labels[i].Name {
			return k, false
		}
	}
	return k, true
}

// TestBadKeysAreNotKept: bad keys, of which a file may have any number, use no memory.
func TestBadKeysAreNotKept(t *testing.T) {
	var keys Keys
	s := keys.Of(Kind{Type: metric.Histogram})
	for _, format := range []string{
		`["h", "h_total", {"l": "%d"}, "H."]`, `["h", "h_bucket", {"l": "%d", "le": "x"}, "H."]`, `["h", "h_sum", {"__name__": "%d"}, "H."]`,
	} {
		for i := range 10 {
			_, err := s.follow(none, fmt.Appendf(nil, format, i))
			require.Error(t, err)
		}
	}
	require.Zero(t, s.symbols.Len())
}
