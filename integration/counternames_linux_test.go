package integration

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/multiproc"
	"github.com/multiprom/multiprom/registry"
)

// counterName is the declaration of a counter, in client_python and here.
type counterName struct {
	Name, Namespace, Subsystem, Unit string
}

// TestCountersOfClientPython declares counters in client_python and here, with random names
// that mostly end in something like _total. Both reject the same names and serve the same
// samples. So does the merged view of client_python's files.
func TestCountersOfClientPython(t *testing.T) {
	needPython(t)
	r := rand.New(rand.NewPCG(5, 6))
	part := func(of ...string) string { return of[r.IntN(len(of))] }
	names := []counterName{{Name: "x_total_total"}, {Name: "_total"}, {Name: "total"}, {Name: "x_total_created"}, {Name: "_total_total"}, {Name: "__total"}, {Name: "x_TOTAL"}}
	for range 300 {
		n := counterName{Name: part("", "x", "requests", "total", "a:b", "_") + part("", "", "_total", "_created", "total") + part("", "_total", "_total", "_count") + part("", "_total")}
		if n.Name == "" {
			continue
		}
		n.Namespace, n.Subsystem, n.Unit = part("", "", "n", "n_total"), part("", "", "s_total"), part("", "", "seconds", "total")
		names = append(names, n)
	}
	base := t.TempDir()
	input, err := json.Marshal(names)
	require.NoError(t, err)
	cmd := clientPythonCommand("testdata/python/counter_names.py", base)
	cmd.Stdin = bytes.NewReader(input)
	out, err := cmd.Output()
	require.NoError(t, err)
	var theirs []string // the sample's name; empty if client_python rejects the counter
	require.NoError(t, json.Unmarshal(out, &theirs))
	require.Len(t, theirs, len(names))
	refused := 0
	for i, n := range names {
		set := multiproc.NewSet(multiproc.SetOptions{})
		c, err := set.NewCounter(multiproc.CounterOpts{Name: n.Name, Namespace: n.Namespace, Subsystem: n.Subsystem, Unit: n.Unit, Help: "H."})
		if theirs[i] == "" {
			require.Error(t, err, "%+v", n)
			refused++
			continue
		}
		require.NoError(t, err, "%+v", n)
		c.Add(1)
		ours, err := registry.Instruments(set).Gather(t.Context())
		require.NoError(t, err)
		require.Equal(t, theirs[i], onlyCounter(t, ours), "%+v", n)
		a, err := aggregate.Open(filepath.Join(base, strconv.Itoa(i)), aggregate.Options{NoSelfMetrics: true})
		require.NoError(t, err)
		read, err := a.Gather(t.Context())
		require.NoError(t, err)
		require.Equal(t, theirs[i], onlyCounter(t, read), "%+v", n)
		require.NoError(t, a.Close())
	}
	require.Less(t, refused, len(names)/4)
}

// onlyCounter returns the sample name of the only counter that is not a self metric.
func onlyCounter(t *testing.T, families []*metric.Family) (name string) {
	t.Helper()
	for _, f := range families {
		if len(f.Name) > 10 && f.Name[:10] == "multiprom_" {
			continue
		}
		for s := range f.Samples() {
			require.Empty(t, name)
			require.Equal(t, metric.Counter, f.Type)
			require.Equal(t, 1.0, s.Value)
			name = s.Name
		}
	}
	return name
}
