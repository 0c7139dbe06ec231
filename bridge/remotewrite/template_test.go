package remotewrite

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/klauspost/compress/snappy"
	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/bridge/delivery"
	"github.com/multiprom/multiprom/exposition"
	"github.com/multiprom/multiprom/internal/randfamily"
	"github.com/multiprom/multiprom/internal/views"
	"github.com/multiprom/multiprom/metric"
)

// bodies keeps what is sent, uncompressed. It is a receiver that takes everything.
type bodies struct {
	t   *testing.T
	all [][]byte
}

func (x *bodies) RoundTrip(r *http.Request) (*http.Response, error) {
	b, err := io.ReadAll(r.Body)
	require.NoError(x.t, err)
	b, err = snappy.Decode(nil, b)
	require.NoError(x.t, err)
	x.all = append(x.all, b)
	h := http.Header{writtenSamples: {"1000000"}}
	return &http.Response{StatusCode: http.StatusOK, Header: h, Body: io.NopCloser(bytes.NewReader(nil))}, nil
}

// decoded takes what was sent: the samples, and the series of the staleness markers.
func (x *bodies) decoded(version string) (samples []got, stale map[string]bool) {
	stale = map[string]bool{}
	for _, b := range x.all {
		var some []got
		if version == "2.0" {
			some = decode2(x.t, b)
		} else {
			some, _ = decode1(x.t, b)
		}
		for _, s := range some {
			if s.value == "stale" {
				stale[s.series] = true
			} else {
				samples = append(samples, s)
			}
		}
	}
	return samples, stale
}

// changing is a view that changes in all ways in which a view may.
type changing struct {
	randfamily.Source
	families []*views.Family
	made     int
	read     int // series
}

func (c *changing) Gather(context.Context) ([]*metric.Family, error) { panic("it has a view") }

func (c *changing) View(_ context.Context, fn func([]views.Family, error)) {
	var shown []views.Family
	for _, f := range c.families {
		one := *f
		one.Family = &metric.Family{Name: f.Name, Help: f.Help, Unit: f.Unit, Type: f.Type}
		one.Rows = rows{f.Series, &c.read}
		shown = append(shown, one)
	}
	fn(shown, nil)
}

// rows are series that are read one by one.
type rows struct {
	series []metric.Series
	read   *int
}

func (r rows) Len() int { return len(r.series) }
func (r rows) AppendLabels(dst metric.Labels, i int) metric.Labels {
	return append(dst, r.series[i].Labels...)
}
func (r rows) Read(i int, s *metric.Series) {
	*r.read++
	*s = r.series[i]
	s.Labels = nil
}

// add adds a family with many series, of which most have a fixed size.
func (c *changing) add(utf8 bool) {
	f := c.Families(utf8)[0]
	c.made++
	f.Name = fmt.Sprintf("f%02d%s", c.made, f.Name)
	if f.Type == metric.StateSet || f.Unit != "" {
		f.Unit = ""
	}
	s, n := f.Series[0], 1+c.IntN(60)
	uneven := f.Type == metric.Summary && c.IntN(2) == 0 // as no other type can be
	if uneven {
		n = 4 + c.IntN(3)
	}
	f.Series = nil
	for i := range n {
		s.Labels = metric.MakeLabels("n", fmt.Sprintf("%03d", i), "v", fmt.Sprint(c.IntN(3)))
		f.Series = append(f.Series, c.values(s))
		if q := &f.Series[i].Quantiles; uneven {
			*q = (*q)[:c.IntN(len(*q)+1)]
		}
	}
	v := &views.Family{Family: f}
	if c.IntN(8) > 0 {
		c.newLayout(v)
	}
	c.families = append(c.families, v)
}

// newLayout gives a family the layout of its series.
func (c *changing) newLayout(f *views.Family) {
	f.Layout, f.Revision, f.Revisions = views.NewLayout(), 0, nil
	if c.IntN(8) > 0 {
		f.Revision, f.Revisions = 1, slices.Repeat([]uint32{1}, len(f.Series))
	}
}

// values returns the series with other values of the same size.
func (c *changing) values(s metric.Series) metric.Series {
	s.Value, s.Sum, s.Count = c.NormFloat64(), c.NormFloat64(), c.Uint64N(1<<50)
	s.Exemplar, s.Timestamp, s.Native, s.NoSum = nil, time.Time{}, nil, false
	s.Buckets, s.Quantiles, s.States = slices.Clone(s.Buckets), slices.Clone(s.Quantiles), slices.Clone(s.States)
	for i := range s.Buckets {
		s.Buckets[i].Count, s.Buckets[i].Exemplar = c.Uint64N(1000), nil
	}
	for i := range s.Quantiles {
		s.Quantiles[i].Value = c.NormFloat64()
	}
	for i := range s.States {
		s.States[i].On = c.IntN(2) == 0
	}
	if c.IntN(3) == 0 {
		s.Created = time.UnixMilli(1_000_000_000_000 + c.Int64N(1e11))
	}
	return s
}

// odd returns the series with something that changes its size or its time.
func (c *changing) odd(s metric.Series) metric.Series {
	switch c.IntN(6) {
	case 0:
		s.NoSum = true
	case 1:
		s.Created = time.UnixMilli(c.Int64N(2)) // shorter, or none
	case 2:
		s.Created = time.Time{}
	case 3:
		s.Timestamp = time.UnixMilli(c.Int64N(1e12))
	case 4:
		s.Exemplar = trace(fmt.Sprint(c.IntN(9)), 1)
		if len(s.Buckets) > 0 {
			s.Buckets[c.IntN(len(s.Buckets))].Exemplar = s.Exemplar
		}
	case 5:
		if s.Buckets != nil {
			s.Native = &metric.NativeHistogram{Positive: []metric.Span{{Counts: []uint64{1 + c.Uint64N(9)}}}}
		}
	}
	return s
}

// change changes one family. The new values of a series are noted as its revision.
func (c *changing) change(utf8 bool) {
	i := c.IntN(len(c.families))
	f := c.families[i]
	switch c.IntN(12) {
	case 0:
		c.families = slices.Delete(c.families, i, i+1)
		c.add(utf8)
	case 1: // some series come or go
		if at := c.IntN(len(f.Series)); len(f.Series) > 1 && c.IntN(2) == 0 {
			f.Series = slices.Delete(f.Series, at, at+1)
		} else {
			s := f.Series[len(f.Series)-1]
			n, _ := s.Labels.Get("n")
			s.Labels = s.Labels.With("n", n+"x")
			f.Series = append(f.Series, c.values(s))
		}
		if f.Layout != 0 {
			c.newLayout(f)
		}
	case 2: // another type
		switch f.Type {
		case metric.Counter:
			f.Type = metric.Gauge
		case metric.Gauge:
			f.Type = metric.Counter
		default:
			f.Help += "!"
		}
		if f.Layout != 0 {
			c.newLayout(f)
		}
	default:
		for i := range f.Series {
			if c.IntN(10) == 0 {
				f.Series[i] = c.values(f.Series[i])
				if c.IntN(20) == 0 {
					f.Series[i] = c.odd(f.Series[i])
				}
				if f.Revisions != nil {
					f.Revisions[i] = f.Revision
				}
			}
		}
	}
}

// TestTemplates: a writer that has templates of earlier rounds sends the same bytes as one that has
// sent nothing. If series have left, it sends the same samples, and then markers.
func TestTemplates(t *testing.T) {
	for _, version := range []string{"2.0", "1.0"} {
		all, fewer := 0, 0
		for seed := range uint64(30) {
			c := &changing{Source: randfamily.New(seed)}
			utf8 := version == "2.0" && seed%2 == 0
			for range 1 + c.IntN(10) {
				c.add(utf8)
			}
			// The time of samples gets longer in some of the rounds.
			at := time.UnixMilli(1 << 42).Add(time.Duration(-c.IntN(40)) * time.Minute)
			opts := Options{Protocol: version, Options: delivery.Options{
				URL: "http://receiver", MaxSamples: 1 + c.IntN(200), Now: func() time.Time { return at },
			}}
			if c.IntN(3) == 0 {
				opts.MaxBytes = 1 + c.IntN(10_000)
			}
			push := func(w *Writer, x *bodies) {
				x.all = nil
				if err := w.Push(t.Context(), c); err != nil {
					require.ErrorAs(t, err, new(*exposition.OmissionError))
				}
			}
			made := func() (*Writer, *bodies) {
				x := &bodies{t: t}
				opts.Client = &http.Client{Transport: x}
				return writer(t, opts), x
			}
			warm, warmSent := made()
			for range 30 {
				at = at.Add(time.Minute) // metadata of 1.0 is due
				cold, coldSent := made()
				c.read = 0
				push(warm, warmSent)
				fewer -= c.read
				c.read = 0
				push(cold, coldSent)
				fewer, all = fewer+c.read, all+c.read
				if !slices.EqualFunc(coldSent.all, warmSent.all, bytes.Equal) {
					want, none := coldSent.decoded(version)
					got, stale := warmSent.decoded(version)
					require.Empty(t, none)
					require.Equal(t, want, got, "seed %d", seed)
					require.NotEmpty(t, stale, "seed %d: the same, but in other bytes", seed)
					for _, s := range want {
						require.False(t, stale[s.series], "seed %d: %s", seed, s.series)
					}
				}
				for _, f := range c.families {
					if f.Revisions != nil {
						f.Revision++
					}
				}
				for range c.IntN(3) {
					c.change(utf8)
				}
			}
		}
		require.Greater(t, fewer, all/4, "what did not change is read again")
	}
}
