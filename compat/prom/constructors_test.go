package prom_test

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/compat/prom"
	"github.com/multiprom/multiprom/compat/prom/promauto"
	"github.com/multiprom/multiprom/multiproc"
)

// TestConstructors: those of prom give a collector of the name and type, those of
// promauto register it with the default registry too. In a directory, all are in the
// merged view (TestInADirectory runs this there), without one in none of a store.
func TestConstructors(t *testing.T) {
	one := func() float64 { return 1 }
	labels := []string{"l"}
	child := func(v *prometheus.MetricVec) prometheus.Collector {
		_, err := v.GetMetricWithLabelValues("x")
		require.NoError(t, err)
		return v
	}
	type made struct {
		collector prometheus.Collector
		kind      dto.MetricType
	}
	sets := map[string]map[string]made{
		"made": {
			"made_c_total":  {prom.NewCounter(prom.CounterOpts{Name: "made_c_total"}), dto.MetricType_COUNTER},
			"made_cv_total": {child(prom.NewCounterVec(prom.CounterOpts{Name: "made_cv_total"}, labels).MetricVec), dto.MetricType_COUNTER},
			"made_cf_total": {prom.NewCounterFunc(prom.CounterOpts{Name: "made_cf_total"}, one), dto.MetricType_COUNTER},
			"made_g":        {prom.NewGauge(prom.GaugeOpts{Name: "made_g"}), dto.MetricType_GAUGE},
			"made_gv":       {child(prom.NewGaugeVec(prom.GaugeOpts{Name: "made_gv"}, labels).MetricVec), dto.MetricType_GAUGE},
			"made_gf":       {prom.NewGaugeFunc(prom.GaugeOpts{Name: "made_gf"}, one), dto.MetricType_GAUGE},
			"made_m":        {prom.WithMode(prom.ModeMax).NewGauge(prom.GaugeOpts{Name: "made_m"}), dto.MetricType_GAUGE},
			"made_h":        {prom.NewHistogram(prom.HistogramOpts{Name: "made_h"}), dto.MetricType_HISTOGRAM},
			"made_hv":       {child(prom.NewHistogramVec(prom.HistogramOpts{Name: "made_hv"}, labels).MetricVec), dto.MetricType_HISTOGRAM},
			"made_s":        {prom.NewSummary(prom.SummaryOpts{Name: "made_s"}), dto.MetricType_SUMMARY},
			"made_sv":       {child(prom.NewSummaryVec(prom.SummaryOpts{Name: "made_sv"}, labels).MetricVec), dto.MetricType_SUMMARY},
			"made_uf":       {prom.NewUntypedFunc(prom.UntypedOpts{Name: "made_uf"}, one), dto.MetricType_UNTYPED},
		},
		"auto": {
			"auto_c_total":  {promauto.NewCounter(prom.CounterOpts{Name: "auto_c_total"}), dto.MetricType_COUNTER},
			"auto_cv_total": {child(promauto.NewCounterVec(prom.CounterOpts{Name: "auto_cv_total"}, labels).MetricVec), dto.MetricType_COUNTER},
			"auto_cf_total": {promauto.NewCounterFunc(prom.CounterOpts{Name: "auto_cf_total"}, one), dto.MetricType_COUNTER},
			"auto_g":        {promauto.NewGauge(prom.GaugeOpts{Name: "auto_g"}), dto.MetricType_GAUGE},
			"auto_gv":       {child(promauto.NewGaugeVec(prom.GaugeOpts{Name: "auto_gv"}, labels).MetricVec), dto.MetricType_GAUGE},
			"auto_gf":       {promauto.NewGaugeFunc(prom.GaugeOpts{Name: "auto_gf"}, one), dto.MetricType_GAUGE},
			"auto_h":        {promauto.NewHistogram(prom.HistogramOpts{Name: "auto_h"}), dto.MetricType_HISTOGRAM},
			"auto_hv":       {child(promauto.NewHistogramVec(prom.HistogramOpts{Name: "auto_hv"}, labels).MetricVec), dto.MetricType_HISTOGRAM},
			"auto_s":        {promauto.NewSummary(prom.SummaryOpts{Name: "auto_s"}), dto.MetricType_SUMMARY},
			"auto_sv":       {child(promauto.NewSummaryVec(prom.SummaryOpts{Name: "auto_sv"}, labels).MetricVec), dto.MetricType_SUMMARY},
			"auto_uf":       {promauto.NewUntypedFunc(prom.UntypedOpts{Name: "auto_uf"}, one), dto.MetricType_UNTYPED},
		},
	}
	types := func(families []*dto.MetricFamily) map[string]dto.MetricType {
		out := map[string]dto.MetricType{}
		for _, f := range families {
			out[f.GetName()] = f.GetType()
		}
		return out
	}
	registered, err := prom.DefaultGatherer.Gather()
	require.NoError(t, err)
	inDefault, inStore := types(registered), types(instruments(t, multiproc.Default()))
	for set, metrics := range sets {
		own := prom.NewPedanticRegistry()
		for name, m := range metrics {
			require.NoError(t, own.Register(m.collector), name)
			if set == "auto" {
				require.Equal(t, m.kind, inDefault[name], name)
				require.True(t, prom.Unregister(m.collector), name)
			} else {
				if multiproc.Default().Dir() == "" {
					require.NotContains(t, inDefault, name)
				}
				prom.MustRegister(m.collector)
				require.Panics(t, func() { prom.MustRegister(m.collector) }, name)
				require.True(t, prom.Unregister(m.collector), name)
			}
			switch kind, found := inStore[name]; {
			case multiproc.Default().Dir() == "":
				require.False(t, found, name)
			case m.kind == dto.MetricType_UNTYPED:
				require.Equal(t, dto.MetricType_GAUGE, kind, name)
			default:
				require.Equal(t, m.kind, kind, name)
			}
		}
		families, err := own.Gather()
		require.NoError(t, err)
		got := types(families)
		require.Len(t, got, len(metrics))
		for name, m := range metrics {
			require.Equal(t, m.kind, got[name], name)
		}
	}
	require.NoError(t, prom.V2.NewDesc("d", "h", prom.UnconstrainedLabels(nil), nil, prom.WithUnit("s")).Err())
}
