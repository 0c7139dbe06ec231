package registry_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/multiprom/multiprom/gather"
	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/registry"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRestrict(t *testing.T) {
	created := func(f *metric.Family) *metric.Family {
		f.Series[0].Created = time.Unix(12, 500e6)
		return f
	}
	native := created(family(metric.Histogram, "n"))
	native.Series[0].Native = &metric.NativeHistogram{ZeroCount: 2}
	all := gatherer(
		created(family(metric.Counter, "c")), family(metric.Gauge, "g"), created(family(metric.Histogram, "h")),
		family(metric.Gauge, "h_a"), family(metric.GaugeHistogram, "gh"), family(metric.Info, "i"),
		created(family(metric.Summary, "s")), family(metric.StateSet, "st"), family(metric.Unknown, "u_total"),
		native,
	)
	tests := []struct {
		names   []string
		want    []string
		created bool // a created time is left
	}{
		{nil, nil, false},
		{[]string{"absent", "g_total", "u"}, nil, false},
		{[]string{"g"}, []string{"gauge g 1"}, false},
		{[]string{"u_total"}, []string{"unknown u_total 1"}, false},
		{[]string{"c"}, []string{"counter c_total 1"}, true},
		{[]string{"c_total"}, []string{"counter c_total 1"}, false},
		{[]string{"c_created"}, []string{"gauge c_created 12.5"}, false},
		{[]string{"c_created", "c_total"}, []string{"counter c_total 1"}, true},
		{[]string{"h_bucket"}, []string{`unknown h_bucket{le="+Inf"} 2`, `unknown h_bucket{le="1"} 1`}, false},
		{[]string{"h_sum", "h_count", "h_created"}, []string{"unknown h_count 2", "gauge h_created 12.5", "unknown h_sum 3"}, false},
		{[]string{"h_sum", "h_count", "h_bucket"}, []string{
			`histogram h_bucket{le="1"} 1`, `histogram h_bucket{le="+Inf"} 2`, "histogram h_sum 3", "histogram h_count 2",
		}, false},
		{[]string{"h"}, []string{
			`histogram h_bucket{le="1"} 1`, `histogram h_bucket{le="+Inf"} 2`, "histogram h_sum 3", "histogram h_count 2",
		}, true},
		{[]string{"h_count", "h_a"}, []string{"gauge h_a 1", "unknown h_count 2"}, false},
		{[]string{"gh_gcount"}, []string{"unknown gh_gcount 2"}, false},
		{[]string{"gh_count", "gh_created", "g_created"}, nil, false},
		{[]string{"i_info"}, []string{"info i_info 1"}, false},
		{[]string{"i"}, []string{"info i_info 1"}, false},
		{[]string{"s"}, []string{`summary s{quantile="0.5"} 1`, "summary s_sum 3", "summary s_count 2"}, true},
		{[]string{"s_sum", "s_count"}, []string{"summary s_sum 3", "summary s_count 2"}, false},
		{[]string{"s_count"}, []string{"unknown s_count 2"}, false},
		{[]string{"st"}, []string{`stateset st{st="on"} 1`, `stateset st{st="off"} 0`}, false},
	}
	for _, tt := range tests {
		families, err := registry.Restrict(all, tt.names...).Gather(t.Context())
		require.NoError(t, err)
		assert.Equal(t, tt.want, lines(families), "%q", tt.names)
		kept := false
		for _, f := range families {
			kept = kept || !f.Series[0].Created.IsZero()
		}
		assert.Equal(t, tt.created, kept, "%q", tt.names)
	}
	// Native buckets are samples with the family's own name.
	for _, tt := range []struct {
		names  []string
		native bool
	}{{[]string{"n"}, true}, {[]string{"n_bucket", "n_sum", "n_count"}, false}} {
		families, err := registry.Restrict(all, tt.names...).Gather(t.Context())
		require.NoError(t, err)
		assert.Equal(t, tt.native, families[0].Series[0].Native != nil, "%q", tt.names)
	}
	families, err := all.Gather(t.Context())
	require.NoError(t, err)
	assert.Equal(t, int64(12), families[0].Series[0].Created.Unix(), "what was gathered is shared, and unchanged")
}

func TestRestrictRunsOnlyWhatMayYield(t *testing.T) {
	a, b, u := described("A", family(metric.Counter, "a")), described("B", family(metric.Gauge, "b")), unchecked("U", family(metric.Gauge, "u"))
	reg := newRegistry(t, a, b, u)
	for _, g := range []gather.Gatherer{reg, registry.Merge(reg, gatherer())} {
		a.runs, b.runs, u.runs = 0, 0, 0
		families, err := registry.Restrict(g, "a_total").Gather(t.Context())
		require.NoError(t, err)
		assert.Equal(t, []string{"counter a_total 1"}, lines(families))
		assert.Equal(t, []int{1, 0, 1}, []int{a.runs, b.runs, u.runs})
	}
}

func TestRestrictPassesErrorsOn(t *testing.T) {
	boom := errors.New("boom")
	g := gather.Func(func(context.Context) ([]*metric.Family, error) {
		return []*metric.Family{family(metric.Gauge, "a")}, boom
	})
	families, err := registry.Restrict(g, "a").Gather(t.Context())
	assert.ErrorIs(t, err, boom)
	assert.Equal(t, []string{"gauge a 1"}, lines(families))
}

func TestMerge(t *testing.T) {
	first := gauge("m", series(1, "pid", "1"), series(3, "pid", "3"))
	first.Help = ""
	tests := []struct {
		name  string
		a, b  *metric.Family
		want  []string
		clash string // part of the error
	}{
		{name: "other names", a: family(metric.Gauge, "b"), b: family(metric.Gauge, "a"), want: []string{"gauge a 1", "gauge b 1"}},
		{name: "disjoint labels", a: first, b: gauge("m", series(2, "pid", "2"), series(4, "pid", "4")),
			want: []string{`gauge m{pid="1"} 1`, `gauge m{pid="2"} 2`, `gauge m{pid="3"} 3`, `gauge m{pid="4"} 4`}},
		{name: "taken labels", a: first, b: gauge("m", series(0), series(9, "pid", "3"), series(4, "pid", "4")),
			want: []string{"gauge m 0", `gauge m{pid="1"} 1`, `gauge m{pid="3"} 3`, `gauge m{pid="4"} 4`}, clash: `first m{pid="3"}`},
		{name: "other type", a: first, b: family(metric.Histogram, "m"),
			want: []string{`gauge m{pid="1"} 1`, `gauge m{pid="3"} 3`}, clash: `histogram "m"`},
		{name: "derived name", a: family(metric.Gauge, "x_total"), b: family(metric.Counter, "x"),
			want: []string{"gauge x_total 1"}, clash: `"x_total"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			families, err := registry.Merge(gatherer(tt.a), gatherer(tt.b)).Gather(t.Context())
			assert.Equal(t, tt.want, lines(families))
			if tt.clash == "" {
				assert.NoError(t, err)
			} else {
				assert.ErrorIs(t, err, registry.ErrDuplicate)
				assert.ErrorContains(t, err, tt.clash)
			}
			assert.NotEmpty(t, families[0].Help+tt.clash)
		})
	}
	assert.Len(t, first.Series, 2, "what was gathered is shared, and unchanged")
	assert.Empty(t, first.Help)
}

func TestMergeOfThree(t *testing.T) {
	families, err := registry.Merge(
		gatherer(gauge("m", series(1, "pid", "1"))), gatherer(gauge("m", series(2, "pid", "2"))), gatherer(gauge("m", series(3, "pid", "3"))),
	).Gather(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []string{`gauge m{pid="1"} 1`, `gauge m{pid="2"} 2`, `gauge m{pid="3"} 3`}, lines(families))
}

func TestMergeSurvivesItsGatherers(t *testing.T) {
	boom := errors.New("boom")
	families, err := registry.Merge(
		gather.Func(func(context.Context) ([]*metric.Family, error) { return nil, boom }),
		gather.Func(panicky),
		gatherer(family(metric.Gauge, "a")),
	).Gather(t.Context())
	assert.ErrorIs(t, err, boom)
	var panicked *registry.PanicError
	assert.ErrorAs(t, err, &panicked)
	assert.Equal(t, []string{"gauge a 1"}, lines(families))
	families, err = registry.Merge().Gather(t.Context())
	assert.NoError(t, err)
	assert.Empty(t, families)
}

func TestSampleValue(t *testing.T) {
	boom := errors.New("boom")
	h := family(metric.Histogram, "h")
	h.Series[0].Labels = metric.MakeLabels("path", "/")
	h.Series[0].Created = time.Unix(7, 0)
	reg := newRegistry(t, described("A", family(metric.Counter, "c"), h, family(metric.StateSet, "st")))
	failing := registry.CollectorFunc(func(context.Context) ([]*metric.Family, error) { return nil, boom })
	tests := []struct {
		name   string
		labels map[string]string
		want   float64
		found  bool
	}{
		{"c_total", nil, 1, true},
		{"c", nil, 0, false},
		{"c_total", map[string]string{"a": "b"}, 0, false},
		{"h_count", map[string]string{"path": "/"}, 2, true},
		{"h_count", nil, 0, false},
		{"h_bucket", map[string]string{"path": "/", "le": "+Inf"}, 2, true},
		{"h_bucket", map[string]string{"path": "/", "le": "1"}, 1, true},
		{"h_created", map[string]string{"path": "/"}, 7, true},
		{"st", map[string]string{"st": "off"}, 0, true},
	}
	check := func(want error) {
		for _, tt := range tests {
			v, err := registry.SampleValue(t.Context(), reg, tt.name, tt.labels)
			assert.Equal(t, tt.want, v, "%s %v", tt.name, tt.labels)
			if tt.found {
				assert.NoError(t, err)
				continue
			}
			assert.ErrorIs(t, err, registry.ErrNoSample)
			assert.ErrorIs(t, err, want)
		}
	}
	check(registry.ErrNoSample)
	require.NoError(t, reg.Register(failing))
	check(boom)
}
