package exposition

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/actions"
	"github.com/multiprom/multiprom/internal/views"
	"github.com/multiprom/multiprom/metric"
)

// textOf returns a page as text, and checks that it is the same in every coding.
func textOf(t testing.TB, p *page) string {
	t.Helper()
	var plain, gz, zst bytes.Buffer
	for _, in := range []struct {
		out *bytes.Buffer
		c   *coding
	}{{&plain, nil}, {&gz, gzipCoding}, {&zst, zstdCoding}} {
		in.out.Write(bytes.Join(p.encoded(in.c), nil))
	}
	z, err := gzip.NewReader(&gz)
	require.NoError(t, err)
	z.Multistream(false) // one member only: some clients do not read a second one
	b, err := io.ReadAll(z)
	require.NoError(t, err)
	require.Zero(t, gz.Len())
	requireText(t, plain.String(), string(b))
	d, err := zstd.NewReader(&zst)
	require.NoError(t, err)
	defer d.Close()
	b, err = io.ReadAll(d)
	require.NoError(t, err)
	requireText(t, plain.String(), string(b))
	return plain.String()
}

// asRows shows a family's series as rows.
type asRows []metric.Series

func (r asRows) Len() int { return len(r) }
func (r asRows) AppendLabels(dst metric.Labels, i int) metric.Labels {
	return append(dst, r[i].Labels...)
}

func (r asRows) Read(i int, s *metric.Series) {
	buckets := append(s.Buckets[:0], r[i].Buckets...)
	*s = r[i]
	s.Buckets, s.Labels = buckets, nil
}

// inRows returns the families with rows instead of series.
func inRows(families []views.Family) (out []views.Family) {
	for _, f := range families {
		head := *f.Family
		head.Series = nil
		f.Family, f.Rows = &head, asRows(f.Series)
		out = append(out, f)
	}
	return out
}

// requireText reports the line in which two long texts differ.
func requireText(t testing.TB, want, got string) {
	t.Helper()
	if want == got {
		return
	}
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(w), len(g)) {
		require.Equal(t, w[i], g[i], "line %d", i+1)
	}
	require.Equal(t, len(w), len(g), "lines")
}

// laidOut gives each family a layout.
func laidOut(families []*metric.Family) []views.Family {
	out := views.Plain(families)
	for i := range out {
		out[i].Layout = views.NewLayout()
	}
	return out
}

// revised makes the families report which series change.
func revised(families []views.Family) {
	for i := range families {
		families[i].Revisions = make([]uint32, len(families[i].Series))
	}
}

// withSeries returns the family with other series.
func withSeries(f views.Family, series []metric.Series) views.Family {
	head := *f.Family
	head.Series = series
	f.Family = &head
	return f
}

// change gives some series other numbers, as between two scrapes: of any length, and
// such that lines come and go.
func change(r *rand.Rand, families []views.Family) []views.Family {
	values := []float64{0, 1, 12.5, 1e300, -1, math.NaN(), math.Inf(1), 123456789}
	var out []views.Family
	for _, f := range families {
		now := withSeries(f, slices.Clone(f.Series))
		now.Revision, now.Revisions = f.Revision+1, slices.Clone(f.Revisions)
		few := 1 + r.IntN(60)
		for i := range now.Series {
			if r.IntN(few) > 0 {
				continue
			}
			if now.Revisions != nil {
				now.Revisions[i] = now.Revision
			}
			s := &now.Series[i]
			s.Value, s.Sum = values[r.IntN(len(values))], values[r.IntN(len(values))]
			s.NoSum = r.IntN(8) == 0
			if s.Created = time.Unix(0, r.Int64N(2e18)); r.IntN(4) == 0 {
				s.Created = time.Time{}
			}
			counts := make([]uint64, len(s.Buckets))
			for j := range counts {
				counts[j] = r.Uint64N(1 << r.IntN(40))
			}
			if len(s.Buckets) > 0 {
				bounds := make([]float64, len(s.Buckets)-1)
				for j := range bounds {
					bounds[j] = s.Buckets[j].UpperBound
				}
				s.Buckets = metric.Cumulate(bounds, counts)
				s.Count = s.Buckets[len(bounds)].Count
				if r.IntN(8) == 0 {
					s.Buckets[0].Exemplar = &metric.Exemplar{Labels: metric.MakeLabels("id", strconv.Itoa(r.IntN(100))), Value: s.Buckets[0].UpperBound}
				}
			}
			if s.Exemplar = nil; r.IntN(8) == 0 {
				s.Exemplar = &metric.Exemplar{Labels: metric.MakeLabels("id", strconv.Itoa(r.IntN(100))), Value: 1}
			}
		}
		out = append(out, now)
	}
	return out
}

var everyWay = func() (ways []Options) {
	for _, v := range []Format{Text004, Text100, OpenMetrics001, OpenMetrics100, OpenMetrics200} {
		for _, created := range []bool{false, true} {
			for _, escaping := range []Escaping{0, AllowUTF8, Dots, Values} {
				ways = append(ways, Options{ContentType: ContentType{v, escaping}, Created: created})
			}
		}
	}
	return ways
}()

// TestPageIsWhatIsEncoded: the cache makes no difference, whatever changes between
// scrapes.
func TestPageIsWhatIsEncoded(t *testing.T) {
	for n, way := range everyWay {
		t.Run(fmt.Sprint(way), func(t *testing.T) {
			pageIsWhatIsEncoded(t, rand.New(rand.NewPCG(uint64(n), 1)), way, false, false)
			pageIsWhatIsEncoded(t, rand.New(rand.NewPCG(uint64(n), 2)), way, true, false)
			pageIsWhatIsEncoded(t, rand.New(rand.NewPCG(uint64(n), 3)), way, true, true)
		})
	}
}

// sending is a page that was not sent yet.
type sending struct {
	*page
	text string
}

func pageIsWhatIsEncoded(t *testing.T, r *rand.Rand, way Options, revisions, rows bool) {
	plain := manySeries(600)
	utf8 := one("http.latency", metric.Gauge)
	utf8.Series = []metric.Series{{Labels: metric.MakeLabels("a.b", "1"), Value: 1}, {Labels: metric.MakeLabels("a_b", "1"), Value: 2}}
	summary := one("summary", metric.Summary)
	summary.Series = []metric.Series{{Count: 3, Sum: 1.5, Created: time.Unix(1, 0)}}
	clash := one("family_0_created", metric.Gauge) // takes the name of the created times
	clash.Series = []metric.Series{{Value: 7}}
	plain = append(plain, utf8, summary, clash)
	metric.SortFamilies(plain)
	families := laidOut(plain)
	if revisions {
		revised(families)
	}
	kept := newCache()
	var unsent []sending
	for range 12 {
		actions.List{
			{Weight: 4, Name: "only values change"},
			{Weight: 1, Name: "a series comes", Do: func() {
				i := r.IntN(len(families))
				f := &families[i]
				s := f.Series[len(f.Series)-1]
				s.Labels = s.Labels.With("path", "/zzz"+strconv.Itoa(r.IntN(1e9)))
				*f = withSeries(*f, append(slices.Clone(f.Series), s))
				f.Layout = views.NewLayout()
				if revisions {
					revised(families[i : i+1])
				}
			}},
			{Weight: 1, Name: "families go, and come again later", Do: func() {
				page, _ := kept.page(families[:2], way)
				want, _ := Append(nil, views.Whole(families[:2]), way)
				requireText(t, string(want), textOf(t, page))
			}},
		}.Random(r)
		families = change(r, families)
		shown := families
		if rows {
			shown = inRows(families)
			whole, _ := Append(nil, views.Whole(shown), way)
			want, _ := Append(nil, views.Whole(families), way)
			requireText(t, string(want), string(whole))
		}
		page, err := kept.page(shown, way)
		want, wantErr := Append(nil, views.Whole(families), way)
		requireText(t, string(want), textOf(t, page))
		require.Equal(t, wantErr, err)
		unsent = append(unsent, sending{page, string(want)})
		for len(unsent) > r.IntN(4) {
			i := r.IntN(len(unsent))
			requireText(t, unsent[i].text, textOf(t, unsent[i].page)) // unchanged, whatever came after it
			unsent[i].release()
			unsent = slices.Delete(unsent, i, i+1)
		}
	}
}

// TestPageKeepsWhatHasNotChanged: if one series changes, only its chunk is new, and a
// page that exists does not change.
func TestPageKeepsWhatHasNotChanged(t *testing.T) {
	families := laidOut(manySeries(6000))
	kept := newCache()
	way := Options{ContentType: ContentType{Format: OpenMetrics100}}
	first, err := kept.page(families, way)
	require.NoError(t, err)
	text := textOf(t, first)
	again, err := kept.page(families, way)
	require.NoError(t, err)
	require.Equal(t, len(first.pieces), len(again.pieces))

	gauges := withSeries(families[1], slices.Clone(families[1].Series))
	gauges.Series[700].Value = 1e9
	changed, err := kept.page([]views.Family{families[0], gauges, families[2]}, way)
	require.NoError(t, err)
	same, other := 0, 0
	for i := range first.pieces {
		require.Equal(t, first.pieces[i].text, again.pieces[i].text)
		switch {
		case first.pieces[i] == changed.pieces[i]:
			same++
		case !bytes.Equal(first.pieces[i].text, changed.pieces[i].text):
			other++
		}
	}
	require.Equal(t, 1, other)
	require.Greater(t, same, 100)
	require.Equal(t, text, textOf(t, first))
}

// TestRevisionsBegin: series without revisions are compared once some have them,
// including the first.
func TestRevisionsBegin(t *testing.T) {
	f := one("c", metric.Counter)
	f.Series = []metric.Series{{Value: 0}}
	families := laidOut([]*metric.Family{f})
	kept := newCache()
	_, err := kept.page(families, Options{})
	require.NoError(t, err)
	f.Series = []metric.Series{{Value: 7}}
	families[0].Revision, families[0].Revisions = 1, []uint32{1}
	page, err := kept.page(families, Options{})
	require.NoError(t, err)
	require.Contains(t, textOf(t, page), " 7\n")
}

// TestSendersThatFail: what a broken connection may still read does not change.
func TestSendersThatFail(t *testing.T) {
	families := laidOut(manySeries(30))
	h := HandlerFor(viewed{families}, HandlerOptions{NoCreated: true}).(*handler)
	get := func(w http.ResponseWriter) { h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil)) }
	var broken brokenWriter
	get(&broken)
	text := string(broken.got)
	families[0].Series[0].Value++
	whole := httptest.NewRecorder()
	get(whole)
	require.Equal(t, string(mustAppend(t, views.Whole(families))), whole.Body.String())
	require.Equal(t, text, string(broken.got))
	for range 2 { // the chunks of those that were sent are reused
		families[0].Series[0].Value++
		before := h.caches.of(Options{ContentType: Negotiate(http.Header{})}).sections[sectionID{families[0].Layout, mainSection}].chunks[0]
		get(httptest.NewRecorder())
		after := h.caches.of(Options{ContentType: Negotiate(http.Header{})}).sections[sectionID{families[0].Layout, mainSection}].chunks[0]
		require.Same(t, before, after)
	}
}

// viewed is a Viewer of families.
type viewed struct{ families []views.Family }

func (v viewed) Gather(context.Context) ([]*metric.Family, error) {
	return views.Whole(v.families), nil
}
func (v viewed) View(_ context.Context, fn func([]views.Family, error)) { fn(v.families, nil) }

// brokenWriter is a connection that fails, and keeps what was written to it.
type brokenWriter struct {
	httptest.ResponseRecorder
	got []byte
}

func (b *brokenWriter) Header() http.Header { return http.Header{} }

func (b *brokenWriter) Write(p []byte) (int, error) {
	b.got = p
	return 0, errors.New("reset")
}

// TestCacheForgets: what is no longer scraped takes no memory.
func TestCacheForgets(t *testing.T) {
	families := laidOut(manySeries(30))
	kept := newCache()
	_, err := kept.page(families, Options{Created: true})
	require.NoError(t, err)
	require.Len(t, kept.sections, 5, "created times stand apart in text")
	_, err = kept.page(families[:1], Options{})
	require.NoError(t, err)
	require.Len(t, kept.sections, 1)

	var all caches
	old := all.of(Options{Created: true})
	for range keptScrapes + 1 {
		all.of(Options{})
	}
	require.Len(t, all.byWay, 1)
	require.NotSame(t, old, all.of(Options{Created: true}))
	require.Nil(t, all.of(Options{ContentType: ContentType{Format: Protobuf}}))
}

func TestPagesConcurrently(t *testing.T) {
	families := laidOut(manySeries(900))
	kept := newCache()
	var scrapes sync.WaitGroup
	for n := range uint64(4) {
		scrapes.Go(func() {
			r := rand.New(rand.NewPCG(n, 2))
			for range 10 {
				now := change(r, families)
				page, _ := kept.page(now, Options{})
				want, _ := Append(nil, views.Whole(now), Options{})
				if text := textOf(t, page); text != string(want) {
					t.Errorf("a page differs from what is encoded")
				}
				page.release() // so that the next one uses the same chunks
			}
		})
	}
	scrapes.Wait()
}

// BenchmarkPage is a scrape in which this many of a hundred values have changed.
func BenchmarkPage(b *testing.B) {
	for _, percent := range []int{0, 5, 100} {
		for _, c := range []*coding{nil, gzipCoding} {
			name := fmt.Sprint(percent, " identity")
			if c != nil {
				name = fmt.Sprint(percent, " ", c.name)
			}
			b.Run(name, func(b *testing.B) {
				families := laidOut(manySeries(10_000))
				kept := newCache()
				r := rand.New(rand.NewPCG(1, 3))
				lines := bytes.Count(mustAppend(b, views.Whole(families)), []byte("\n"))
				for b.Loop() {
					b.StopTimer()
					for _, f := range families {
						for i := range f.Series {
							if s := &f.Series[i]; r.IntN(100) < percent {
								s.Value, s.Sum = s.Value+1, s.Sum+1.5
							}
						}
					}
					b.StartTimer()
					page, err := kept.page(families, Options{})
					if err != nil {
						b.Fatal(err)
					}
					page.encoded(c)
					page.release()
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(lines), "ns/line")
			})
		}
	}
}
