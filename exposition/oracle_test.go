package exposition

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/randfamily"
	"github.com/multiprom/multiprom/metric"
)

// Prometheus' own parser is the oracle. It must find in the text exactly the samples of
// the families, as package metric defines them.

// parsed returns all samples that the oracle finds in text, by name, labels
// and timestamp, and the type of each family.
func parsed(t testing.TB, text []byte) (samples map[string]float64, types map[string]string) {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(text))
	require.NoError(t, err, "%s", text)

	samples, types = map[string]float64{}, map[string]string{}
	for name, f := range families {
		types[name] = strings.ToLower(f.GetType().String())
		for _, m := range f.Metric {
			labels := metric.Labels{}
			for _, l := range m.Label {
				labels = append(labels, metric.Label{Name: l.GetName(), Value: l.GetValue()})
			}
			labels.Sort()
			add := func(name string, labels metric.Labels, v float64) {
				key := fmt.Sprintf("%q%s@%d", name, labels, m.GetTimestampMs())
				require.NotContains(t, samples, key, "a duplicate in\n%s", text)
				samples[key] = v
			}
			switch {
			case m.Counter != nil:
				add(name, labels, m.Counter.GetValue())
			case m.Gauge != nil:
				add(name, labels, m.Gauge.GetValue())
			case m.Untyped != nil:
				add(name, labels, m.Untyped.GetValue())
			case m.Summary != nil:
				for _, q := range m.Summary.Quantile {
					add(name, labels.With("quantile", fmt.Sprint(q.GetQuantile())), q.GetValue())
				}
				if m.Summary.SampleSum != nil {
					add(name+"_sum", labels, m.Summary.GetSampleSum())
				}
				add(name+"_count", labels, float64(m.Summary.GetSampleCount()))
			case m.Histogram != nil:
				for _, b := range m.Histogram.Bucket {
					add(name+"_bucket", labels.With("le", fmt.Sprint(b.GetUpperBound())), float64(b.GetCumulativeCount()))
				}
				if m.Histogram.SampleSum != nil {
					add(name+"_sum", labels, m.Histogram.GetSampleSum())
				}
				// A histogram without a count comes from a gauge histogram.
				if m.Histogram.SampleCount != nil {
					add(name+"_count", labels, float64(m.Histogram.GetSampleCount()))
				}
			}
		}
	}
	return samples, types
}

// expected returns what parsed must find for families whose names need no escaping.
func expected(families []*metric.Family, created bool) (samples map[string]float64, types map[string]string) {
	samples, types = map[string]float64{}, map[string]string{}
	for _, f := range families {
		for s := range f.Samples() {
			ms := int64(0)
			if !s.Timestamp.IsZero() {
				ms = s.Timestamp.UnixMilli()
			}
			samples[fmt.Sprintf("%q%s@%d", s.Name, s.Labels, ms)] = s.Value
		}
		types[f.Name+ownSuffix(f.Type)] = textTypes[f.Type]
		if f.Type == metric.GaugeHistogram {
			types[f.Name+"_gcount"] = "gauge"
			if slices.ContainsFunc(f.Series, func(s metric.Series) bool { return !s.NoSum }) {
				types[f.Name+"_gsum"] = "gauge"
			}
		}
		if !created || f.Type != metric.Counter && f.Type != metric.Histogram && f.Type != metric.Summary {
			continue
		}
		for _, s := range f.Series {
			if s.Created.IsZero() {
				continue
			}
			ms := int64(0)
			if !s.Timestamp.IsZero() {
				ms = s.Timestamp.UnixMilli()
			}
			types[f.Name+"_created"] = "gauge"
			samples[fmt.Sprintf("%q%s@%d", f.Name+"_created", s.Labels, ms)] = float64(s.Created.UnixMilli()) / 1000
		}
	}
	return samples, types
}

func requireSame(t testing.TB, families []*metric.Family, opts Options) {
	t.Helper()
	text, err := Append(nil, families, opts)
	require.NoError(t, err)
	got, gotTypes := parsed(t, text)
	want, wantTypes := expected(families, opts.Created)
	same := func(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) }
	if !maps.EqualFunc(want, got, same) {
		require.Equal(t, want, got, "%s", text) // shows where they differ
	}
	require.Equal(t, wantTypes, gotTypes)
}

func TestOracleOnRandomFamilies(t *testing.T) {
	rounds := 500
	if testing.Short() {
		rounds = 50
	}
	for seed := range uint64(rounds) {
		rnd := randfamily.New(seed)
		for _, opts := range []Options{legacy, created, plain1} {
			requireSame(t, rnd.Families(false), opts)
		}
		requireSame(t, rnd.Families(true), quoted)
	}
}

// FuzzRoundTrip reads families back that have any label values, help and numbers, and
// escaped names of any bytes.
func FuzzRoundTrip(f *testing.F) {
	for typ := range metric.GaugeHistogram + 1 {
		f.Add(uint8(typ), "some.name", "help", "label", "value", math.Float64bits(1.5), []byte{1, 2, 3})
		f.Add(uint8(typ), "\"\\\n", "\"\\\n", "\xff", "\"\\\n\xff", math.Float64bits(math.NaN()), []byte("12345678"))
	}
	f.Fuzz(func(t *testing.T, typ uint8, name, help, label, value string, bits uint64, data []byte) {
		// A name may have a colon, but not the label that a state set makes of it.
		// TestEscaping has that case.
		name = strings.ReplaceAll(name, ":", ".")
		family := &metric.Family{
			Name: model.EscapeName("x"+name+"x", model.UnderscoreEscaping), Help: help, Type: metric.Type(typ) % (metric.GaugeHistogram + 1),
		}
		v := math.Float64frombits(bits)
		labels := metric.MakeLabels(strings.ReplaceAll(model.EscapeName("L"+label, model.UnderscoreEscaping), ":", "_"), validUTF8(value))
		s := metric.Series{Labels: labels, Value: v, Sum: v, Created: time.UnixMilli(int64(bits % 1e12))}
		switch family.Type {
		case metric.Histogram, metric.GaugeHistogram:
			var bounds []float64
			counts := []uint64{uint64(len(data))}
			for i, b := range data {
				bounds = append(bounds, float64(i)+float64(b)/512)
				counts = append(counts, uint64(b)<<(b%40))
			}
			s.Buckets = metric.Cumulate(bounds, counts)
			s.Count = s.Buckets[len(data)].Count
		case metric.Summary:
			var word [8]byte
			copy(word[:], data)
			s.Count = binary.LittleEndian.Uint64(word[:]) >> 11 // exact in a float64
		case metric.StateSet:
			s.States = []metric.State{{Name: validUTF8(value), On: true}, {Name: validUTF8(value) + "'"}}
		}
		family.Series = []metric.Series{s}
		requireSame(t, []*metric.Family{family}, Options{Created: true})

		// The original names, escaped by the encoder, give the same text.
		escaped, err := Append(nil, []*metric.Family{family}, Options{Created: true})
		require.NoError(t, err)
		raw := *family
		raw.Name = "x" + name + "x"
		s.Labels = metric.MakeLabels("L"+label, value)
		raw.Series = []metric.Series{s}
		fromRaw, err := Append(nil, []*metric.Family{&raw}, Options{Created: true})
		require.NoError(t, err)
		require.Equal(t, string(escaped), string(fromRaw))

		// If they are quoted, the oracle reads the same names back.
		quotedText, err := Append(nil, []*metric.Family{&raw}, quoted)
		require.NoError(t, err)
		_, types := parsed(t, quotedText)
		require.Contains(t, types, validUTF8(raw.Name)+ownSuffix(raw.Type))
	})
}
