package textparse

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/exposition"
	"github.com/multiprom/multiprom/internal/form"
	"github.com/multiprom/multiprom/internal/openmetrics"
	"github.com/multiprom/multiprom/internal/randfamily"
	"github.com/multiprom/multiprom/metric"
)

var quoted = exposition.Options{
	ContentType: exposition.ContentType{Format: exposition.Text100, Escaping: exposition.AllowUTF8},
	Created:     true,
}

// inText returns what is left of families after a round trip through text, as the
// package comments of exposition and textparse say.
func inText(families []*metric.Family) []*metric.Family {
	var out []*metric.Family
	for _, f := range families {
		if len(f.Series) == 0 {
			continue
		}
		derived := func(suffix string, value func(s *metric.Series) (float64, bool)) {
			gauge := &metric.Family{Name: f.Name + suffix, Help: help(f.Help), Type: metric.Gauge}
			for i := range f.Series {
				s := &f.Series[i]
				if v, ok := value(s); ok {
					gauge.Series = append(gauge.Series, metric.Series{Labels: s.Labels, Value: v, Timestamp: millis(s.Timestamp)})
				}
			}
			if len(gauge.Series) > 0 {
				out = append(out, gauge)
			}
		}

		own := &metric.Family{Name: f.Name, Help: help(f.Help), Type: f.Type}
		switch f.Type {
		case metric.Info:
			own.Name, own.Type = f.Name+"_info", metric.Gauge
		case metric.StateSet:
			own.Type = metric.Gauge
		case metric.GaugeHistogram:
			own.Type = metric.Histogram
		}
		for i := range f.Series {
			s := f.Series[i]
			s.Timestamp, s.Created, s.Exemplar, s.Native = millis(s.Timestamp), time.Time{}, nil, nil
			switch f.Type {
			case metric.Info:
				s.Value = 1
			case metric.StateSet:
				for _, state := range s.States {
					v := 0.0
					if state.On {
						v = 1
					}
					own.Series = append(own.Series, metric.Series{Labels: s.Labels.With(f.Name, state.Name), Value: v, Timestamp: s.Timestamp})
				}
				continue
			case metric.GaugeHistogram:
				s.NoSum = true
				fallthrough
			case metric.Histogram:
				s.Buckets = append([]metric.Bucket(nil), s.Buckets...)
				for j := range s.Buckets {
					s.Buckets[j].Exemplar = nil
				}
			}
			own.Series = append(own.Series, s)
		}
		out = append(out, own)
		if f.Type == metric.GaugeHistogram {
			derived("_gcount", func(s *metric.Series) (float64, bool) { return float64(s.Count), true })
			derived("_gsum", func(s *metric.Series) (float64, bool) { return s.Sum, !s.NoSum })
		}
		if f.Type == metric.Counter || f.Type == metric.Histogram || f.Type == metric.Summary {
			derived("_created", func(s *metric.Series) (float64, bool) {
				return float64(s.Created.Unix()) + float64(s.Created.Nanosecond())/1e9, !s.Created.IsZero()
			})
		}
	}
	for _, f := range out {
		metric.SortFamilies([]*metric.Family{f}) // its series only
	}
	return out
}

func help(text string) string { return strings.TrimLeft(text, " \t") }

func millis(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return time.UnixMilli(t.UnixMilli())
}

// requireTextRoundTrip encodes families and expects them back.
func requireTextRoundTrip(t testing.TB, families []*metric.Family, opts exposition.Options) {
	t.Helper()
	text, err := exposition.Append(nil, families, opts)
	require.NoError(t, err)
	parsed, err := Parse(bytes.NewReader(text), Options{})
	require.NoError(t, err, "%s", text)
	requireValid(t, parsed)
	require.Equal(t, canonical(inText(families)), canonical(parsed), "%s", text)
}

func rounds() uint64 {
	if testing.Short() {
		return 50
	}
	return 500
}

func TestTextRoundTrip(t *testing.T) {
	for seed := range rounds() {
		source := randfamily.New(seed)
		requireTextRoundTrip(t, source.Families(false), exposition.Options{Created: true})
		requireTextRoundTrip(t, source.Families(true), quoted)
	}
}

// writeOpenMetrics writes families as directly as package metric defines them. It
// shares nothing with the parser except that package.
func writeOpenMetrics(families []*metric.Family) string {
	var b strings.Builder
	stamp := func(t time.Time) string {
		sign, seconds, nanos := "", t.Unix(), int64(t.Nanosecond())
		if seconds < 0 {
			sign, seconds = "-", -seconds
			if nanos > 0 {
				seconds, nanos = seconds-1, 1e9-nanos
			}
		}
		return fmt.Sprintf("%s%d.%09d", sign, seconds, nanos)
	}
	for _, f := range families {
		fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s %s\n", f.Name, form.AppendEscaped(nil, f.Help), f.Name, f.Type)
		if f.Unit != "" {
			fmt.Fprintf(&b, "# UNIT %s %s\n", f.Name, f.Unit)
		}
		for i := range f.Series {
			s := &f.Series[i]
			at := ""
			if !s.Timestamp.IsZero() {
				at = " " + stamp(s.Timestamp)
			}
			one := metric.Family{Name: f.Name, Type: f.Type, Series: f.Series[i : i+1]}
			alone := f.Type != metric.Summary && s.NoSum
			for sample := range one.Samples() {
				if alone && (sample.Name == f.Name+"_count" || sample.Name == f.Name+"_gcount") {
					continue // a histogram's count goes with a sum
				}
				fmt.Fprintf(&b, "%s%s %s%s", sample.Name, sample.Labels, form.FormatFloat(sample.Value), at)
				if e := sample.Exemplar; e != nil {
					labels := e.Labels.String()
					if labels == "" {
						labels = "{}"
					}
					fmt.Fprintf(&b, " # %s %s", labels, form.FormatFloat(e.Value))
					if !e.Timestamp.IsZero() {
						b.WriteString(" " + stamp(e.Timestamp))
					}
				}
				b.WriteByte('\n')
			}
			if !s.Created.IsZero() {
				fmt.Fprintf(&b, "%s_created%s %s%s\n", f.Name, s.Labels, stamp(s.Created), at)
			}
		}
	}
	return b.String() + "# EOF\n"
}

// forOpenMetrics makes values valid that OpenMetrics forbids.
func forOpenMetrics(families []*metric.Family) []*metric.Family {
	growing := func(v float64) float64 {
		if v = math.Abs(v); math.IsNaN(v) {
			return 0
		}
		return v
	}
	for _, f := range families {
		f.Help = strings.TrimRight(f.Help, "\r") // it would be part of the line's end
		for i := range f.Series {
			s := &f.Series[i]
			switch f.Type {
			case metric.Counter:
				s.Value = growing(s.Value)
			case metric.Histogram, metric.GaugeHistogram:
				s.Sum = growing(s.Sum)
				s.NoSum = s.NoSum || f.Type == metric.Histogram && openmetrics.HasNegativeBound(s)
			case metric.Summary:
				s.Sum = growing(s.Sum)
				for j := range s.Quantiles {
					s.Quantiles[j].Value = growing(s.Quantiles[j].Value)
				}
			}
			if f.Type != metric.Counter && f.Type != metric.Histogram && f.Type != metric.Summary {
				s.Created = time.Time{}
			}
		}
	}
	return families
}

func TestOpenMetricsRoundTrip(t *testing.T) {
	for seed := range rounds() {
		source := randfamily.New(seed)
		families := forOpenMetrics(source.Families(false))
		text := writeOpenMetrics(families)
		parsed, err := Parse(strings.NewReader(text), Options{Format: OpenMetrics})
		require.NoError(t, err, "%s", text)
		requireValid(t, parsed)
		require.Equal(t, canonical(withoutNative(families)), canonical(parsed), "%s", text)
	}
}

// withoutNative removes what OpenMetrics 1.0 does not have.
func withoutNative(families []*metric.Family) []*metric.Family {
	for _, f := range families {
		for i := range f.Series {
			f.Series[i].Native = nil
		}
	}
	return families
}
