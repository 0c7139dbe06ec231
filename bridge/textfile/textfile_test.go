package textfile

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/exposition"
	"github.com/multiprom/multiprom/gather"
	"github.com/multiprom/multiprom/metric"
)

func gatherer(n float64) gather.Gatherer {
	return gather.Func(func(context.Context) ([]*metric.Family, error) {
		return []*metric.Family{{
			Name: "jobs.done", Help: "Jobs.", Type: metric.Counter, Series: []metric.Series{{Value: n}},
		}}, nil
	})
}

func names(t *testing.T, dir string) (out []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "jobs.prom")
	for _, c := range []struct {
		opts Options
		want string
		mode fs.FileMode
	}{
		{Options{}, "jobs_done_total 7\n", 0o644},
		{Options{Escaping: exposition.Dots, Mode: 0o600, TempDir: dir}, "jobs_dot_done__total 7\n", 0o600},
	} {
		require.NoError(t, Write(t.Context(), path, gatherer(7), c.opts))
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		require.True(t, strings.HasSuffix(string(b), c.want), "%s", b)
		info, err := os.Stat(path)
		require.NoError(t, err)
		if runtime.GOOS != "windows" {
			require.Equal(t, c.mode, info.Mode(), "whatever the umask is")
		}
		require.Equal(t, []string{"jobs.prom"}, names(t, dir))
	}
}

// TestLabels: every series gets the labels, but keeps its own. The gathered families
// are not changed.
func TestLabels(t *testing.T) {
	families := []*metric.Family{{Name: "g", Type: metric.Gauge, Series: []metric.Series{
		{Labels: metric.MakeLabels("app", "", "n", "1")}, {Labels: metric.MakeLabels("app", "own")},
	}}, {Name: "h", Type: metric.Gauge, Series: []metric.Series{{}}}}
	g := gather.Func(func(context.Context) ([]*metric.Family, error) { return families, nil })
	path := filepath.Join(t.TempDir(), "x.prom")
	require.NoError(t, Write(t.Context(), path, g, Options{Labels: map[string]string{"app": "we\"b", "zone": "a"}}))
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, `# TYPE g gauge
g{app="we\"b",n="1",zone="a"} 0
g{app="own",zone="a"} 0
# TYPE h gauge
h{app="we\"b",zone="a"} 0
`, string(b))
	require.Equal(t, metric.Labels(nil), families[1].Series[0].Labels)

	for _, name := range []string{"", "a-b", "1a", "__name__", "é"} {
		err := Write(t.Context(), path, g, Options{Labels: map[string]string{name: "x"}})
		require.ErrorContains(t, err, "is not a valid label name")
	}
}

// TestTimestamps: node_exporter would skip the file because of one series with a
// timestamp.
func TestTimestamps(t *testing.T) {
	families := []*metric.Family{{Name: "g", Type: metric.Gauge, Series: []metric.Series{
		{Labels: metric.MakeLabels("n", "1")}, {Labels: metric.MakeLabels("n", "2"), Timestamp: time.Unix(5, 0)},
	}}}
	g := gather.Func(func(context.Context) ([]*metric.Family, error) { return families, nil })
	path := filepath.Join(t.TempDir(), "x.prom")
	omitted := (*exposition.OmissionError)(nil)
	require.ErrorAs(t, Write(t.Context(), path, g, Options{}), &omitted)
	require.Equal(t, exposition.OmissionError{Timestamps: 1}, *omitted)
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "# TYPE g gauge\ng{n=\"1\"} 0\n", string(b))
}

// TestFailures: the old file stays, and no other file is left.
func TestFailures(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "jobs.prom")
	require.NoError(t, os.WriteFile(path, []byte("old 1\n"), 0o644))
	broken := errors.New("the database is down")
	failing := gather.Func(func(ctx context.Context) ([]*metric.Family, error) {
		families, _ := gatherer(1).Gather(ctx)
		return families, broken
	})
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "sub.prom"), 0o700))
	for _, c := range []struct {
		name string
		ctx  context.Context
		path string
		g    gather.Gatherer
		opts Options
		want error
	}{
		{"gatherer", t.Context(), path, failing, Options{}, broken},
		{"ended", ended, path, gatherer(1), Options{}, context.Canceled},
		{"name", t.Context(), filepath.Join(dir, "jobs.txt"), gatherer(1), Options{}, errName},
		{"no directory", t.Context(), filepath.Join(dir, "none", "jobs.prom"), gatherer(1), Options{}, fs.ErrNotExist},
		{"no temporary directory", t.Context(), path, gatherer(1), Options{TempDir: filepath.Join(dir, "none")}, fs.ErrNotExist},
		{"a directory has the name", t.Context(), filepath.Join(dir, "sub.prom"), gatherer(1), Options{}, fs.ErrExist},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := Write(c.ctx, c.path, c.g, c.opts)
			require.ErrorIs(t, err, c.want)
			require.ErrorContains(t, err, c.path)
			require.Equal(t, []string{"jobs.prom", "sub.prom"}, names(t, dir))
			b, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, "old 1\n", string(b))
		})
	}
}

// TestReaders: a reader sees a whole file while others write.
func TestReaders(t *testing.T) {
	path := filepath.Join(t.TempDir(), "jobs.prom")
	require.NoError(t, Write(t.Context(), path, gatherer(0), Options{}))
	var writers sync.WaitGroup
	for i := range 2 {
		writers.Go(func() {
			for range 50 {
				if err := Write(t.Context(), path, gatherer(float64(i)), Options{}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { writers.Wait(); close(done) }()
	for {
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Regexp(t, `^# HELP jobs_done_total Jobs\.\n# TYPE jobs_done_total counter\njobs_done_total [01]\n$`, string(b))
		select {
		case <-done:
			return
		default:
		}
	}
}
