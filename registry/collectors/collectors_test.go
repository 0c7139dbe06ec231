package collectors_test

import (
	"runtime"
	"strings"
	"testing"

	"github.com/multiprom/multiprom/internal/form"
	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/registry"
	"github.com/multiprom/multiprom/registry/collectors"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	_ registry.Describer = (*collectors.Process)(nil)
	_ registry.Describer = (*collectors.GoRuntime)(nil)
	_ registry.Describer = (*collectors.BuildInfo)(nil)
)

// gather registers c alone and returns its families as lines of samples.
func gather(t *testing.T, c registry.Collector) []string {
	t.Helper()
	reg := registry.New(registry.Options{})
	require.NoError(t, reg.Register(c))
	families, err := reg.Gather(t.Context())
	require.NoError(t, err)
	return lines(families)
}

func lines(families []*metric.Family) []string {
	var out []string
	for _, f := range families {
		for s := range f.Samples() {
			out = append(out, s.Name+s.Labels.String()+" "+form.FormatFloat(s.Value))
		}
	}
	return out
}

func TestOwnProcess(t *testing.T) {
	got := strings.Join(gather(t, collectors.NewProcess(collectors.ProcessOptions{})), "\n")
	if runtime.GOOS != "linux" {
		t.Skip("there is no Linux /proc here")
	}
	for _, f := range collectors.NewProcess(collectors.ProcessOptions{}).Describe() {
		assert.Contains(t, got, f.Name)
	}
}

func TestGoRuntime(t *testing.T) {
	runtime.GC()
	c := collectors.NewGoRuntime()
	families, err := c.Collect(t.Context())
	require.NoError(t, err)
	values := make(map[string]float64)
	for _, f := range families {
		for s := range f.Samples() {
			values[s.Name+s.Labels.String()] = s.Value
		}
	}
	for _, f := range c.Describe() {
		for _, name := range []string{
			f.Name, f.Name + "_total", f.Name + "_count", f.Name + metric.MakeLabels("version", runtime.Version()).String(),
			f.Name + "_info" + metric.MakeLabels("version", runtime.Version()).String(),
		} {
			if _, ok := values[name]; ok {
				f = nil
				break
			}
		}
		assert.Nil(t, f, "this runtime has no source for it")
	}
	for name, min := range map[string]float64{
		"go_goroutines": 1, "go_threads": 1, "go_gc_duration_seconds_count": 1, "go_sched_gomaxprocs_threads": 1,
		"go_memstats_alloc_bytes": 1, "go_memstats_alloc_bytes_total": 1, "go_memstats_mallocs_total": 1,
		`go_gc_duration_seconds{quantile="0.25"}`: 0, `go_gc_duration_seconds{quantile="1"}`: 0,
	} {
		v, ok := values[name]
		assert.True(t, ok && v >= min, "%s is %v, there: %v", name, v, ok)
	}
	assert.GreaterOrEqual(t, values["go_memstats_heap_sys_bytes"], values["go_memstats_heap_inuse_bytes"])
	assert.GreaterOrEqual(t, values["go_memstats_sys_bytes"], values["go_memstats_heap_sys_bytes"])
}

func TestBuildInfo(t *testing.T) {
	got := gather(t, collectors.NewBuildInfo())
	require.Len(t, got, 1)
	assert.Regexp(t, `^go_build_info\{checksum=".*",path=".*",version=".*"\} 1$`, got[0])
}

// TestDefaults has what a default registry has, with the rules of promlint
// that can be broken here: a help, base units, _total for counters only.
func TestDefaults(t *testing.T) {
	reg := registry.New(registry.Options{})
	reg.MustRegister(collectors.NewProcess(collectors.ProcessOptions{}), collectors.NewGoRuntime(), collectors.NewBuildInfo())
	families, err := reg.Gather(t.Context())
	require.NoError(t, err)
	for _, f := range families {
		assert.NotEmpty(t, f.Help, f.Name)
		assert.True(t, form.IsLegacyName(f.Name), f.Name)
		if f.Type != metric.Unknown {
			assert.NotRegexp(t, `_(total|info|count|sum|bucket|milliseconds|kilobytes|minutes)$`, f.Name)
		}
	}
}
