package multiproc

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/access"
	"github.com/multiprom/multiprom/internal/environ"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/internal/options"
)

// environment is a default Set over variables that a test sets.
func environment(t *testing.T, env map[string]string) (*Set, *bytes.Buffer) {
	t.Helper()
	log := new(bytes.Buffer)
	s := environmentSet(func(key string) string { return env[key] })
	s.opts.Logger = slog.New(slog.NewTextHandler(log, nil))
	t.Cleanup(func() { s.Close() })
	return s, log
}

// TestEnvironment: which variables the default Set obeys, and that the old
// spelling is warned of once, when the store opens.
func TestEnvironment(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	for name, tc := range map[string]struct {
		env   map[string]string
		dir   string
		id    string
		mode  os.FileMode
		warns int
	}{
		"nothing":   {nil, "", "", 0, 0},
		"directory": {map[string]string{EnvDir: dir, environ.ProcessID: "w1"}, dir, "w1", 0o600, 0},
		"old":       {map[string]string{environ.DirLower: dir}, dir, "", 0o600, 1},
		"both":      {map[string]string{EnvDir: dir, environ.DirLower: other}, dir, "", 0o600, 0},
		"mode":      {map[string]string{EnvDir: dir, environ.FileMode: "0640"}, dir, "", 0o640, 0},
		"TTL":       {map[string]string{EnvDir: dir, environ.TTL: "15m, jobs=never"}, dir, "", 0o600, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s, log := environment(t, tc.env)
			require.Equal(t, tc.dir, s.Dir())
			require.False(t, s.Opened())
			require.Empty(t, log.String())
			require.NoError(t, s.Open())
			require.NoError(t, s.Open())
			access.Store(s)
			require.Equal(t, tc.warns, strings.Count(log.String(), "\n"), log.String())
			if tc.id == "" {
				tc.id = strconv.Itoa(os.Getpid())
			}
			require.Equal(t, tc.id, access.Store(s).Header().Label)
			if tc.mode != 0 && runtime.GOOS != "windows" {
				info, err := os.Stat(access.Store(s).Path())
				require.NoError(t, err)
				require.Equal(t, tc.mode, info.Mode())
			}
		})
	}
}

// TestEnvironmentThatIsInvalid: nothing is silently replaced. Open says which
// variable is wrong; an update, which has nobody to tell, says it in the log and
// counts on the heap.
func TestEnvironmentThatIsInvalid(t *testing.T) {
	for name, tc := range map[string]struct {
		value string
		is    error
	}{
		environ.FileMode:         {"0666", mpm.ErrMode},
		environ.FileMode + " 9":  {"9", mpm.ErrMode},
		environ.ProcessID:        {strings.Repeat("x", 129), mpm.ErrProcessID},
		environ.ProcessID + " 8": {"\xff", mpm.ErrProcessID},
	} {
		variable, _, _ := strings.Cut(name, " ")
		dir := t.TempDir()
		env := map[string]string{EnvDir: dir, variable: tc.value}
		s, log := environment(t, env)
		require.ErrorIs(t, s.Open(), tc.is)
		require.ErrorContains(t, s.Open(), variable)
		require.False(t, s.Opened(), "it can be set right")
		c := must(s.NewCounter(CounterOpts{Name: "c", Help: "C."}))
		c.Inc()
		require.Contains(t, log.String(), variable)
		require.ErrorIs(t, s.Fallback(), tc.is)
		require.Equal(t, dir, s.Dir())
		files, err := os.ReadDir(dir)
		require.NoError(t, err)
		require.Empty(t, files)
	}
}

// TestEnvironmentIsReadLate: main may set the variables after package-level
// instruments were declared. Once something was counted it is too late, and Open
// says so.
func TestEnvironmentIsReadLate(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	late := map[string]string{EnvDir: dir, environ.ProcessID: "w7", environ.FileMode: "0640"}
	for name, open := range map[string]func(*Set, *Counter) error{
		"Open":   func(s *Set, c *Counter) error { return s.Open() },
		"update": func(s *Set, c *Counter) error { c.Inc(); return nil },
		"Store":  func(s *Set, c *Counter) error { access.Store(s); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			env := map[string]string{EnvDir: other}
			s, _ := environment(t, env)
			c := must(s.NewCounter(CounterOpts{Name: "c", Help: "C."}))
			must(s.NewCounterVec(CounterOpts{Name: "v", Help: "V."}, []string{"l"})).WithLabelValues("x")
			require.Equal(t, other, s.Dir())
			for k, v := range late {
				env[k] = v
			}
			require.Equal(t, dir, s.Dir())
			require.NoError(t, open(s, c))
			require.Equal(t, dir, filepath.Dir(access.Store(s).Path()))
			require.Equal(t, "w7", access.Store(s).Header().Label)
			require.NoError(t, s.Open())

			for _, variable := range []string{EnvDir, environ.ProcessID, environ.FileMode} {
				was := env[variable]
				env[variable] = map[string]string{EnvDir: other, environ.ProcessID: "w8", environ.FileMode: "0660"}[variable]
				err := s.Open()
				require.ErrorIs(t, err, ErrTooLate)
				require.ErrorContains(t, err, variable)
				require.ErrorContains(t, err, "in "+dir)
				require.Equal(t, dir, s.Dir(), "nothing is changed")
				delete(env, variable)
				require.NoError(t, s.Open(), "a variable that was taken away says nothing")
				env[variable] = was
			}
			require.NoError(t, s.Open())
		})
	}
}

// TestTooLateOnTheHeap: what was counted without a directory stays on the heap.
func TestTooLateOnTheHeap(t *testing.T) {
	env := map[string]string{}
	s, _ := environment(t, env)
	c := must(s.NewCounter(CounterOpts{Name: "c", Help: "C."}))
	c.Inc()
	env[EnvDir] = t.TempDir()
	require.ErrorIs(t, s.Open(), ErrTooLate)
	require.ErrorContains(t, s.Open(), "on the heap")
	require.Empty(t, s.Dir(), "a scrape shows what there is: the heap")
	require.EqualValues(t, 1, c.Value())
}

// TestOpenAfterAFailure: where nothing was counted, another directory helps.
func TestOpenAfterAFailure(t *testing.T) {
	env := map[string]string{EnvDir: filepath.Join(t.TempDir(), "missing")}
	s, _ := environment(t, env)
	require.ErrorIs(t, s.Open(), os.ErrNotExist)
	env[EnvDir] = t.TempDir()
	require.NoError(t, s.Open())
	require.Equal(t, env[EnvDir], filepath.Dir(access.Store(s).Path()))
}

// TestInvalidOptions: Open names the field; updates go on.
func TestInvalidOptions(t *testing.T) {
	for field, opts := range map[string]SetOptions{
		"ProcessID":     {ProcessID: strings.Repeat("x", 129)},
		"FileMode":      {FileMode: 0o666},
		"MaxSeries":     {MaxSeries: -7},
		"PublishPeriod": {PublishPeriod: -1},
	} {
		opts.Dir, opts.Logger = t.TempDir(), slog.New(slog.DiscardHandler)
		s := NewSet(opts)
		require.ErrorContains(t, s.Open(), "invalid option: "+field)
		v := must(s.NewCounterVec(CounterOpts{Name: "c", Help: "C."}, []string{"l"}))
		v.WithLabelValues("x").Inc()
		require.ErrorContains(t, s.Fallback(), field)
		require.NoError(t, s.Close())
	}
	s := NewSet(SetOptions{MaxSeries: 1})
	_, err := s.NewCounterVec(CounterOpts{Name: "c", Help: "C.", MaxSeries: -7}, []string{"l"})
	require.ErrorContains(t, err, "MaxSeries is -7")
	v := must(s.NewCounterVec(CounterOpts{Name: "c", Help: "C.", MaxSeries: options.NoLimit}, []string{"l"}))
	for i := range 3 {
		v.WithLabelValues(strconv.Itoa(i)).Inc()
		require.EqualValues(t, 1, v.WithLabelValues(strconv.Itoa(i)).Value())
	}
}
