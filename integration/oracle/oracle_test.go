package oracle

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/exemplar"
	prom "github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/exposition"
	"github.com/multiprom/multiprom/internal/form"
	"github.com/multiprom/multiprom/internal/openmetrics"
	"github.com/multiprom/multiprom/internal/randfamily"
	"github.com/multiprom/multiprom/metric"
)

// view is what a server knows after a scrape, by labels of a series or name of a family.
type view struct {
	samples   map[string]string
	native    map[string]string // histograms with native buckets, with their exemplars
	exemplars map[string]string
	began     map[string]int64 // in milliseconds
	types     map[string]model.MetricType
	units     map[string]string
	helps     map[string]string
}

func newView() view {
	return view{map[string]string{}, map[string]string{}, map[string]string{}, map[string]int64{}, map[string]model.MetricType{}, map[string]string{}, map[string]string{}}
}

// scraped parses a text with the parser that a server chooses by content type.
func scraped(t *testing.T, body []byte, format exposition.ContentType) view {
	t.Helper()
	p, err := textparse.New(body, format.String(), nil, textparse.ParserOptions{OpenMetricsSkipSTSeries: true, EnableOpenMetrics2: true, KeepClassicOnClassicAndNativeHistograms: true})
	require.NoError(t, err)
	out := newView()
	for {
		entry, err := p.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		require.NoError(t, err, "%q", body)
		switch entry {
		case textparse.EntryType:
			name, typ := p.Type()
			out.types[string(name)] = typ
		case textparse.EntryUnit:
			if name, unit := p.Unit(); len(unit) > 0 {
				out.units[string(name)] = string(unit)
			}
		case textparse.EntryHelp:
			if name, help := p.Help(); len(help) > 0 {
				out.helps[string(name)] = string(help)
			}
		case textparse.EntrySeries:
			_, at, v := p.Series()
			var ls labels.Labels
			p.Labels(&ls)
			key := ls.WithoutEmpty().String()
			require.NotContains(t, out.samples, key, "%q", body)
			out.samples[key] = sample(v, at)
			var x exemplar.Exemplar
			if p.Exemplar(&x) {
				out.exemplars[key] = fmt.Sprint(x.Labels, " ", form.FormatFloat(x.Value), " ", x.HasTs, x.Ts)
			}
			if ms := p.StartTimestamp(); ms != 0 {
				out.began[key] = ms
			}
		case textparse.EntryHistogram:
			_, at, h, _ := p.Histogram()
			require.NoError(t, h.Validate(), "%q", body)
			var ls labels.Labels
			p.Labels(&ls)
			key := ls.WithoutEmpty().String()
			require.NotContains(t, out.native, key, "%q", body)
			var exemplars []exemplar.Exemplar
			for x := (exemplar.Exemplar{}); p.Exemplar(&x); x = (exemplar.Exemplar{}) {
				exemplars = append(exemplars, x)
			}
			out.native[key] = native(h, at, exemplars)
			if ms := p.StartTimestamp(); ms != 0 {
				out.began[key] = ms
			}
		default:
			require.Fail(t, "an entry that was not written", "%v in %q", entry, body)
		}
	}
}

// native describes a histogram and its exemplars.
func native(h *prom.Histogram, at *int64, exemplars []exemplar.Exemplar) string {
	text := fmt.Sprint(h, h.Schema, h.ZeroThreshold, form.FormatFloat(h.Sum), h.PositiveSpans, h.NegativeSpans)
	if at != nil {
		text += fmt.Sprint("@", *at)
	}
	for _, x := range exemplars {
		text += fmt.Sprint(" # ", x.Labels, form.FormatFloat(x.Value), x.HasTs, x.Ts)
	}
	return text
}

// writtenNative is native of what a server should find.
func writtenNative(s *metric.Series, second bool) string {
	h := serverHistogram(s.Native, s.Count, s.Sum)
	from := s.Native.Exemplars
	if !second {
		h = h.Compact(0) // as the parser does
	}
	if len(from) == 0 { // a server then takes those of the buckets
		for _, b := range s.Buckets {
			if b.Exemplar != nil && !b.Exemplar.Timestamp.IsZero() {
				from = append(from, b.Exemplar)
			}
		}
	}
	var exemplars []exemplar.Exemplar
	for _, x := range from {
		exemplars = append(exemplars, exemplar.Exemplar{Labels: labels.FromMap(x.Labels.Map()), Value: x.Value, HasTs: true, Ts: x.Timestamp.UnixMilli()})
	}
	var at *int64
	if ms := s.Timestamp.UnixMilli(); !s.Timestamp.IsZero() {
		at = &ms
	}
	return native(h, at, exemplars)
}

func sample(v float64, at *int64) string {
	if at == nil {
		return form.FormatFloat(v)
	}
	return fmt.Sprint(form.FormatFloat(v), "@", *at)
}

// written returns what a server should find in families.
func written(families []*metric.Family, opts exposition.Options) view {
	out := newView()
	version := opts.ContentType.Format
	openMetrics, protobuf := version == exposition.OpenMetrics100 || version == exposition.OpenMetrics200, version == exposition.Protobuf
	second := version == exposition.OpenMetrics200
	strict := openMetrics && !opts.Lenient
	for _, f := range families {
		head := f.Name
		if f.Type == metric.Counter && version != exposition.OpenMetrics100 {
			head += "_total"
		} else if f.Type == metric.Info && version != exposition.OpenMetrics100 {
			head += "_info"
		}
		if !protobuf {
			head = escaped(head) // that parser does not unescape names in HELP, TYPE and UNIT lines
		}
		out.types[head] = typeOf(f.Type, version)
		if f.Unit != "" && (openMetrics || protobuf) {
			out.units[head] = f.Unit
		}
		help := f.Help
		if openMetrics {
			help = strings.TrimRight(help, "\r")
		}
		if help != "" {
			out.helps[head] = help
		}
		for _, s := range f.Series {
			one := metric.Family{Name: f.Name, Type: f.Type}
			began := s.Created
			if second && !inSecond(f.Type, &s, strict) {
				continue
			}
			switch f.Type {
			case metric.Counter:
				if strict && !(s.Value >= 0) {
					continue
				}
			case metric.Histogram, metric.Summary:
				s.NoSum = s.NoSum || strict && !second && (!(s.Sum >= 0) || f.Type == metric.Histogram && openmetrics.HasNegativeBound(&s))
			case metric.GaugeHistogram:
				s.NoSum = s.NoSum || strict && !second && !(s.Sum >= 0 || s.Sum < 0 && openmetrics.HasNegativeBound(&s))
				began = time.Time{}
			default:
				began = time.Time{}
			}
			if (protobuf || second) && s.Native != nil {
				b := labels.NewBuilder(labels.FromMap(s.Labels.Map())).Set("__name__", f.Name)
				key := b.Labels().WithoutEmpty().String()
				out.native[key] = writtenNative(&s, second)
				if !began.IsZero() {
					out.began[key] = began.UnixMilli()
				}
				if len(s.Buckets) == 1 && (second || s.Buckets[0].Exemplar == nil) {
					continue // no classic bucket is written
				}
			}
			one.Series = []metric.Series{s}
			for m := range one.Samples() {
				q, isQuantile := m.Labels.Get("quantile")
				suffix := strings.TrimPrefix(m.Name, f.Name)
				switch {
				case strict && isQuantile && m.Value < 0:
					continue
				case strict && s.NoSum && f.Type != metric.Summary && (suffix == "_count" || suffix == "_gcount"):
					continue
				case protobuf && (suffix == "_gcount" || suffix == "_gsum"):
					m.Name = f.Name + "_" + suffix[2:]
				}
				var at *int64
				if ms := m.Timestamp.UnixMilli(); !m.Timestamp.IsZero() {
					at = &ms
				}
				b := labels.NewBuilder(labels.EmptyLabels())
				for _, l := range m.Labels {
					b.Set(l.Name, l.Value)
				}
				if isQuantile {
					b.Set("quantile", canonical(q))
				}
				if le, ok := m.Labels.Get("le"); ok {
					b.Set("le", canonical(le))
				}
				b.Set("__name__", m.Name)
				key := b.Labels().WithoutEmpty().String()
				out.samples[key] = sample(m.Value, at)
				if x := m.Exemplar; x != nil && (openMetrics || protobuf) {
					ms := int64(0)
					if !x.Timestamp.IsZero() {
						ms = x.Timestamp.UnixMilli()
					}
					xs := map[string]string{}
					for name, value := range x.Labels.Map() {
						if version == exposition.OpenMetrics100 {
							name, value = escaped(name), escaped(value) // nor in exemplars
						}
						xs[name] = value
					}
					out.exemplars[key] = fmt.Sprint(labels.FromMap(xs), " ", form.FormatFloat(x.Value), " ", !x.Timestamp.IsZero(), ms)
				}
				if !began.IsZero() && (openMetrics || protobuf) {
					out.began[key] = began.UnixMilli()
				}
			}
		}
	}
	return out
}

func escaped(s string) string { return string(form.AppendEscaped(nil, s)) }

// canonical formats a bound as a server stores it.
func canonical(number string) string {
	if !strings.ContainsAny(number, ".eI") {
		return number + ".0"
	}
	return number
}

func typeOf(t metric.Type, v exposition.Format) model.MetricType {
	switch {
	case v == exposition.OpenMetrics100 || v == exposition.OpenMetrics200 || t == metric.GaugeHistogram && v == exposition.Protobuf:
		return model.MetricType(t.String())
	case t == metric.Info, t == metric.StateSet:
		return model.MetricTypeGauge
	case t == metric.GaugeHistogram:
		return model.MetricTypeHistogram
	}
	return model.MetricType(t.String())
}

func TestServerReadsRandomFamilies(t *testing.T) {
	for _, escaping := range []exposition.Escaping{exposition.Underscores, exposition.AllowUTF8} {
		for _, version := range []exposition.Format{exposition.Text004, exposition.Text100, exposition.OpenMetrics100, exposition.OpenMetrics200, exposition.Protobuf} {
			opts := exposition.Options{ContentType: exposition.ContentType{Format: version, Escaping: escaping}, Created: version > exposition.Text100}
			t.Run(opts.ContentType.String(), func(t *testing.T) { serverReads(t, opts) })
			if version == exposition.OpenMetrics100 || version == exposition.OpenMetrics200 {
				opts.Lenient = true
				t.Run("lenient "+opts.ContentType.String(), func(t *testing.T) { serverReads(t, opts) })
			}
		}
	}
}

// serverReads checks that a server finds everything that was written of random families.
func serverReads(t *testing.T, opts exposition.Options) {
	version := opts.ContentType.Format
	for seed := range uint64(200) {
		families := randfamily.New(seed).Families(opts.ContentType.Escaping == exposition.AllowUTF8 && version != exposition.Text004)
		for _, f := range families {
			for i := range f.Series {
				plain(f.Type, &f.Series[i], version)
			}
		}
		body, err := exposition.Append(nil, families, opts)
		if omission := (*exposition.OmissionError)(nil); !errors.As(err, &omission) {
			require.NoError(t, err)
		}
		want, got := written(families, opts), scraped(t, body, opts.ContentType)
		if version <= exposition.Text100 { // text writes gauge histograms like this
			for name := range got.types {
				if base, ok := strings.CutSuffix(name, "_gcount"); ok || strings.HasSuffix(name, "_gsum") {
					if !ok {
						base = strings.TrimSuffix(name, "_gsum")
					}
					want.types[name] = model.MetricTypeGauge
					if want.helps[base] != "" {
						want.helps[name] = want.helps[base]
					}
				}
			}
			trim(want.helps)
			trim(got.helps)
		}
		require.Equal(t, want, got, "%q", body)
	}
}

// trim removes the blanks that text cannot represent.
func trim(helps map[string]string) {
	for name, help := range helps {
		if helps[name] = strings.TrimSpace(help); helps[name] == "" {
			delete(helps, name)
		}
	}
}

// plain removes from s what the parsers themselves change.
func plain(typ metric.Type, s *metric.Series, version exposition.Format) {
	if version == exposition.Protobuf && (typ == metric.Histogram || typ == metric.GaugeHistogram || typ == metric.Summary) {
		s.NoSum = false // they read it as 0
	}
	// Below a second, the OpenMetrics parser sometimes loses a millisecond.
	s.Created, s.Timestamp = s.Created.Truncate(time.Second), s.Timestamp.Truncate(time.Second)
	exemplars := []*metric.Exemplar{s.Exemplar}
	for _, b := range s.Buckets {
		exemplars = append(exemplars, b.Exemplar)
	}
	if s.Native != nil {
		exemplars = append(exemplars, s.Native.Exemplars...)
	}
	for _, x := range exemplars {
		if x != nil {
			x.Timestamp = x.Timestamp.Truncate(time.Second)
		}
	}
	if math.IsNaN(s.Value) {
		s.Value = math.NaN() // so that all NaNs are equal
	}
}
