package registry_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/registry"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestGatherSorts(t *testing.T) {
	shared := gauge("b", series(2, "l", "2"), series(1, "l", "1"))
	swapped := gauge("c", metric.Series{Labels: metric.Labels{{Name: "z", Value: "1"}, {Name: "a", Value: "2"}}})
	reg := newRegistry(t, described("B", shared, swapped), described("A", family(metric.Counter, "a")))
	families, err := reg.Gather(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []string{
		"counter a_total 1", `gauge b{l="1"} 1`, `gauge b{l="2"} 2`, `gauge c{a="2",z="1"} 0`,
	}, lines(families))
	assert.Equal(t, 2.0, shared.Series[0].Value, "what a collector returned is its own")
	assert.Equal(t, "z", swapped.Series[0].Labels[0].Name)
}

func TestFailuresCostOnlyTheirOwnFamilies(t *testing.T) {
	boom := errors.New("boom")
	tests := []struct {
		name    string
		collect func(context.Context) ([]*metric.Family, error)
		want    error
		partial bool
	}{
		{"error", func(context.Context) ([]*metric.Family, error) { return nil, boom }, boom, false},
		{"families beside an error", func(context.Context) ([]*metric.Family, error) {
			return []*metric.Family{family(metric.Gauge, "partial")}, boom
		}, boom, true},
		{"panic", func(context.Context) ([]*metric.Family, error) { panic("boom") }, nil, false},
		{"panic with an error", func(context.Context) ([]*metric.Family, error) { panic(boom) }, boom, false},
		{"Goexit", func(context.Context) ([]*metric.Family, error) { runtime.Goexit(); return nil, nil }, nil, false},
		{"slow", func(ctx context.Context) ([]*metric.Family, error) { <-ctx.Done(); return nil, ctx.Err() }, registry.ErrTimeout, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				bad := registry.CollectorFunc(tt.collect)
				reg := newRegistry(t, described("A", family(metric.Gauge, "a")), bad, described("Z", family(metric.Gauge, "z")))
				families, err := reg.Gather(t.Context())
				want := []string{"gauge a 1", "gauge z 1"}
				if tt.partial {
					want = slices.Insert(want, 1, "gauge partial 1")
				}
				assert.Equal(t, want, lines(families))
				var failed *registry.CollectError
				require.ErrorAs(t, err, &failed)
				assert.Equal(t, bad, failed.Collector)
				var panicked *registry.PanicError
				assert.Equal(t, strings.HasPrefix(tt.name, "panic"), errors.As(err, &panicked))
				if tt.want != nil {
					assert.ErrorIs(t, err, tt.want)
				}
			})
		})
	}
}

func TestPanicKeepsTheStack(t *testing.T) {
	reg := newRegistry(t, registry.CollectorFunc(panicky))
	_, err := reg.Gather(t.Context())
	var p *registry.PanicError
	require.ErrorAs(t, err, &p)
	assert.Equal(t, "out of cheese", p.Value)
	assert.Contains(t, string(p.Stack), "registry_test.panicky")
}

func panicky(context.Context) ([]*metric.Family, error) { panic("out of cheese") }

func TestHangingCollectorIsStartedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var starts atomic.Int32
		release := make(chan struct{})
		hangs := registry.CollectorFunc(func(context.Context) ([]*metric.Family, error) { // ignores its context
			starts.Add(1)
			<-release
			return []*metric.Family{family(metric.Gauge, "late")}, nil
		})
		reg := registry.New(registry.Options{CollectTimeout: time.Second})
		reg.MustRegister(hangs, described("A", family(metric.Gauge, "a")))

		begin := time.Now()
		families, err := reg.Gather(t.Context())
		assert.ErrorIs(t, err, registry.ErrTimeout)
		assert.Equal(t, time.Second, time.Since(begin))
		assert.Equal(t, []string{"gauge a 1"}, lines(families))

		for range 5 {
			families, err = reg.Gather(t.Context())
			assert.ErrorIs(t, err, registry.ErrStillRunning)
			assert.Equal(t, []string{"gauge a 1"}, lines(families))
		}
		assert.Equal(t, time.Second, time.Since(begin), "no scrape waits for it again")
		assert.EqualValues(t, 1, starts.Load())

		close(release)
		synctest.Wait()
		families, err = reg.Gather(t.Context())
		assert.NoError(t, err)
		assert.Equal(t, []string{"gauge a 1", "gauge late 1"}, lines(families))
	})
}

func TestGatherEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		defer close(release)
		reg := newRegistry(t, registry.CollectorFunc(func(context.Context) ([]*metric.Family, error) {
			<-release
			return nil, nil
		}))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := reg.Gather(ctx)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.NotErrorIs(t, err, registry.ErrTimeout)
		_, err = newRegistry(t, described("A", family(metric.Gauge, "a"))).Gather(ctx)
		assert.ErrorIs(t, err, context.DeadlineExceeded, "nothing starts after the end")
	})
}

func TestConcurrencyIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 3
		var running, most atomic.Int32
		release := make(chan struct{})
		reg := registry.New(registry.Options{Concurrency: limit})
		for range 10 {
			reg.MustRegister(registry.CollectorFunc(func(context.Context) ([]*metric.Family, error) {
				if n := running.Add(1); n > most.Load() {
					most.Store(n)
				}
				<-release
				running.Add(-1)
				return nil, nil
			}))
		}
		go func() {
			synctest.Wait() // all that may run do
			close(release)
		}()
		_, err := reg.Gather(t.Context())
		assert.NoError(t, err)
		assert.EqualValues(t, limit, most.Load())
	})
}

func TestClashAtScrape(t *testing.T) {
	first, second := unchecked("first", family(metric.Counter, "x")), unchecked("second", family(metric.Gauge, "x_total"), family(metric.Gauge, "y"))
	reg := newRegistry(t, first, second)
	families, err := reg.Gather(t.Context())
	assert.Equal(t, []string{"counter x_total 1", "gauge y 1"}, lines(families))
	var dup *registry.DuplicateError
	require.ErrorAs(t, err, &dup)
	assert.Equal(t, registry.Collector(first), dup.Old.Collector)
	assert.Equal(t, registry.Collector(second), dup.New.Collector)

	// The one that described the name has it, in whatever order they came.
	require.NoError(t, reg.Register(described("third", family(metric.Gauge, "x_total"))))
	families, err = reg.Gather(t.Context())
	assert.Equal(t, []string{"gauge x_total 1", "gauge y 1"}, lines(families))
	assert.ErrorIs(t, err, registry.ErrDuplicate)
}

func TestInvalidFamilies(t *testing.T) {
	with := func(f *metric.Family, change func(f *metric.Family, s *metric.Series)) *metric.Family {
		change(f, &f.Series[0])
		return f
	}
	histogram := func(count uint64, buckets ...metric.Bucket) *metric.Family {
		return with(family(metric.Histogram, "bad"), func(_ *metric.Family, s *metric.Series) { s.Count, s.Buckets = count, buckets })
	}
	summary := func(qs ...float64) *metric.Family {
		return with(family(metric.Summary, "bad"), func(_ *metric.Family, s *metric.Series) {
			s.Quantiles = nil
			for _, q := range qs {
				s.Quantiles = append(s.Quantiles, metric.Quantile{Q: q})
			}
		})
	}
	inf := math.Inf(1)
	tests := map[string]*metric.Family{
		"nil":                  nil,
		"no name":              family(metric.Gauge, ""),
		"name not UTF-8":       family(metric.Gauge, "\xff"),
		"help not UTF-8":       with(family(metric.Gauge, "bad"), func(f *metric.Family, _ *metric.Series) { f.Help = "\xff" }),
		"unknown type":         family(metric.Type(99), "bad"),
		"counter x_total":      family(metric.Counter, "bad_total"),
		"info x_info":          family(metric.Info, "bad_info"),
		"unit not in the name": with(family(metric.Gauge, "bad"), func(f *metric.Family, _ *metric.Series) { f.Unit = "seconds" }),
		"info with a unit":     with(family(metric.Info, "bad_x"), func(f *metric.Family, _ *metric.Series) { f.Unit = "x" }),
		"same labels":          gauge("bad", series(1, "a", "1"), series(2, "a", "2"), series(3, "a", "1")),
		"label twice":          gauge("bad", series(1, "a", "1", "a", "2")),
		"label reserved":       gauge("bad", series(1, "__name__", "x")),
		"label empty":          gauge("bad", series(1, "", "x")),
		"label value":          gauge("bad", series(1, "a", "\xff")),
		"le on a histogram":    with(family(metric.Histogram, "bad"), func(_ *metric.Family, s *metric.Series) { s.Labels = metric.MakeLabels("le", "1") }),
		"quantile on summary":  with(family(metric.Summary, "bad"), func(_ *metric.Family, s *metric.Series) { s.Labels = metric.MakeLabels("quantile", "1") }),
		"own name on stateset": with(family(metric.StateSet, "bad"), func(_ *metric.Family, s *metric.Series) { s.Labels = metric.MakeLabels("bad", "1") }),
		"state twice":          with(family(metric.StateSet, "bad"), func(_ *metric.Family, s *metric.Series) { s.States[1].Name = "on" }),
		"state not UTF-8":      with(family(metric.StateSet, "bad"), func(_ *metric.Family, s *metric.Series) { s.States[1].Name = "\xff" }),
		"no buckets":           histogram(0),
		"no +Inf bucket":       histogram(1, metric.Bucket{UpperBound: 1, Count: 1}),
		"NaN bound":            histogram(1, metric.Bucket{UpperBound: math.NaN()}, metric.Bucket{UpperBound: inf, Count: 1}),
		"bounds descend":       histogram(1, metric.Bucket{UpperBound: 2}, metric.Bucket{UpperBound: 1}, metric.Bucket{UpperBound: inf, Count: 1}),
		"not cumulative":       histogram(1, metric.Bucket{UpperBound: 1, Count: 2}, metric.Bucket{UpperBound: inf, Count: 1}),
		"count is not +Inf's":  histogram(2, metric.Bucket{UpperBound: inf, Count: 1}),
		"quantile above 1":     summary(1.5),
		"quantile NaN":         summary(math.NaN()),
		"quantile twice":       summary(0.5, 0.5),
	}
	for name, bad := range tests {
		t.Run(name, func(t *testing.T) {
			reg := newRegistry(t, unchecked("A", bad, family(metric.Gauge, "good")))
			families, err := reg.Gather(t.Context())
			assert.ErrorIs(t, err, registry.ErrInvalidFamily)
			assert.Equal(t, []string{"gauge good 1"}, lines(families))
		})
	}
	for typ := metric.Unknown; typ.Valid(); typ++ {
		_, err := newRegistry(t, unchecked("A", family(typ, "good"))).Gather(t.Context())
		assert.NoError(t, err, typ)
	}
}

// TestConcurrentUse is for the race detector.
func TestConcurrentUse(t *testing.T) {
	reg := newRegistry(t, described("A", gauge("shared", series(2, "l", "2"), series(1, "l", "1"))))
	var wg sync.WaitGroup
	for i := range 8 {
		c := registry.CollectorFunc(func(context.Context) ([]*metric.Family, error) {
			return []*metric.Family{family(metric.Counter, fmt.Sprint("own", i))}, nil
		})
		wg.Go(func() {
			for range 50 {
				assert.NoError(t, reg.Register(c))
				assert.NoError(t, reg.SetTargetInfo(metric.MakeLabels("i", fmt.Sprint(i))))
				_, err := registry.SampleValue(t.Context(), reg, fmt.Sprintf("own%d_total", i), nil)
				assert.NoError(t, err)
				assert.True(t, reg.Unregister(c))
			}
		})
	}
	wg.Wait()
}
