package textparse

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/exposition"
	"github.com/multiprom/multiprom/internal/randfamily"
	"github.com/multiprom/multiprom/metric"
)

var (
	openMetrics       = exposition.Options{ContentType: exposition.ContentType{Format: exposition.OpenMetrics100}, Created: true}
	quotedOpenMetrics = exposition.Options{
		ContentType: exposition.ContentType{Format: exposition.OpenMetrics100, Escaping: exposition.AllowUTF8},
		Created:     true,
	}
)

// inOpenMetrics returns what is left of families after a round trip through
// OpenMetrics, as the package comment of exposition says: forbidden values are missing.
func inOpenMetrics(families []*metric.Family) []*metric.Family {
	counts := func(v float64) bool { return v >= 0 } // not NaN
	var out []*metric.Family
	for _, f := range families {
		left := *f
		left.Help = strings.TrimRight(f.Help, "\r")
		left.Series = nil
		for _, s := range f.Series {
			switch f.Type {
			case metric.Counter:
				if !counts(s.Value) {
					continue
				}
			case metric.Histogram:
				s.Native = nil
				s.NoSum = s.NoSum || !counts(s.Sum) || s.Buckets[0].UpperBound < 0
			case metric.GaugeHistogram:
				s.NoSum = s.NoSum || s.Sum != s.Sum || s.Sum < 0 && s.Buckets[0].UpperBound >= 0
				s.Created = time.Time{}
			case metric.Summary:
				s.NoSum = s.NoSum || !counts(s.Sum)
				var quantiles []metric.Quantile
				for _, q := range s.Quantiles {
					if !(q.Value < 0) {
						quantiles = append(quantiles, q)
					}
				}
				s.Quantiles = quantiles
			default:
				s.Created = time.Time{}
			}
			left.Series = append(left.Series, s)
		}
		out = append(out, &left)
	}
	return out
}

// requireOpenMetricsRoundTrip encodes families and expects back what is left of them.
func requireOpenMetricsRoundTrip(t testing.TB, families []*metric.Family, opts exposition.Options) {
	t.Helper()
	text, err := exposition.Append(nil, families, opts)
	if omission := (*exposition.OmissionError)(nil); errors.As(err, &omission) {
		require.Empty(t, omission.Names)
		require.Zero(t, omission.Series)
		require.NotZero(t, omission.Values)
		err = nil
	}
	require.NoError(t, err)
	parsed, err := Parse(bytes.NewReader(text), Options{Format: OpenMetrics, QuotedNames: opts == quotedOpenMetrics})
	require.NoError(t, err, "%s", text)
	requireValid(t, parsed)
	require.Equal(t, canonical(inOpenMetrics(families)), canonical(parsed), "%s", text)
}

func TestOpenMetricsWriterRoundTrip(t *testing.T) {
	for seed := range rounds() {
		source := randfamily.New(seed)
		requireOpenMetricsRoundTrip(t, source.Families(false), openMetrics)
		requireOpenMetricsRoundTrip(t, source.Families(true), quotedOpenMetrics)
	}
}

// Escaped names are read back as other names, but every one of them is.
func TestEscapedRoundTrip(t *testing.T) {
	for _, scheme := range []exposition.Escaping{exposition.Underscores, exposition.Dots, exposition.Values} {
		for seed := range rounds() / 5 {
			families := randfamily.New(seed).Families(true)
			for i := range families { // whose labels are not equal after it
				for j := range families[i].Series {
					families[i].Series[j].Labels = metric.MakeLabels("n", families[i].Series[j].Labels[0].Value, "ä.ö", "ü")
				}
			}
			for _, version := range []exposition.Format{exposition.Text100, exposition.OpenMetrics100} {
				opts := exposition.Options{ContentType: exposition.ContentType{Format: version, Escaping: scheme}}
				text, err := exposition.Append(nil, families, opts)
				if omission := (*exposition.OmissionError)(nil); errors.As(err, &omission) {
					require.Empty(t, omission.Names)
					err = nil
				}
				require.NoError(t, err)
				format := Text
				if version == exposition.OpenMetrics100 {
					format = OpenMetrics
				}
				parsed, err := Parse(bytes.NewReader(text), Options{Format: format})
				require.NoError(t, err, "%s", text)
				requireValid(t, parsed)
				if format == OpenMetrics {
					require.Len(t, parsed, len(families))
				}
			}
		}
	}
}

// A time in OpenMetrics has nanoseconds, also before 1970.
func TestExactTimes(t *testing.T) {
	for _, at := range []time.Time{
		time.Unix(1700000000, 0), time.Unix(1700000000, 123456789), time.Unix(0, 1), time.Unix(5, 100), time.Unix(0, 0),
		time.Unix(-1, 999999999), time.Unix(-1, 0), time.Unix(-2, 5e8), time.Unix(-1700000000, 1),
	} {
		requireOpenMetricsRoundTrip(t, []*metric.Family{{Name: "a", Type: metric.Counter, Series: []metric.Series{
			{Created: at, Timestamp: at, Exemplar: &metric.Exemplar{Timestamp: at}},
		}}}, openMetrics)
	}
}

// FuzzWriters gives the encoder a family of arbitrary bytes. The output must be valid
// in every format and scheme.
func FuzzWriters(f *testing.F) {
	for typ := range uint8(metric.GaugeHistogram) + 1 {
		f.Add(uint64(typ), typ, "some.name_s", "s", "help\r", "label", "value")
		f.Add(uint64(typ), typ, "\"\\\n:", "\n:", "\\", "\xff:", "\"\\\n\xff")
		f.Add(uint64(typ), typ, "", "", "", "", "")
	}
	f.Fuzz(func(t *testing.T, seed uint64, typ uint8, name, unit, help, label, value string) {
		family := &metric.Family{Name: name, Unit: unit, Help: help, Type: metric.Type(typ) % (metric.GaugeHistogram + 1)}
		for range 100 { // a family of that type
			for _, other := range randfamily.New(seed).Families(true) {
				if other.Type == family.Type {
					family.Series = other.Series
				}
			}
			if family.Series != nil {
				break
			}
			seed++
		}
		for i := range family.Series {
			s := &family.Series[i]
			s.Labels = s.Labels.With(label, value)
			for j := range s.States {
				s.States[j].Name += value
			}
			if s.Exemplar != nil {
				s.Exemplar.Labels = metric.MakeLabels(label, value)
			}
		}
		for _, version := range []exposition.Format{exposition.Text004, exposition.Text100, exposition.OpenMetrics001, exposition.OpenMetrics100, exposition.OpenMetrics200} {
			for scheme := exposition.Underscores; scheme <= exposition.Values; scheme++ {
				opts := exposition.Options{ContentType: exposition.ContentType{Format: version, Escaping: scheme}, Created: true}
				text, err := exposition.Append(nil, []*metric.Family{family}, opts)
				if omission := (*exposition.OmissionError)(nil); !errors.As(err, &omission) {
					require.NoError(t, err)
				}
				format := Text
				if version >= exposition.OpenMetrics001 {
					format = OpenMetrics
				}
				if version == exposition.OpenMetrics200 {
					format = OpenMetrics2
				}
				families, err := Parse(bytes.NewReader(text), Options{Format: format, QuotedNames: opts.ContentType == quotedOpenMetrics.ContentType})
				require.NoError(t, err, "%q", text)
				requireValid(t, families)
			}
		}
	})
}
