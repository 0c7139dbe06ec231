//go:build unix

package supervisor

import (
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/multiprom/multiprom/aggregate"
)

func lookAt(t *testing.T, path string) (mode fs.FileMode, gid int) {
	t.Helper()
	info, err := os.Stat(path)
	require.NoError(t, err)
	return info.Mode() & modeBits, groupOf(info)
}

// TestDirectoryIsMade: it has the configured mode, whatever the umask is.
func TestDirectoryIsMade(t *testing.T) {
	own := os.Getgid()
	number := groupArgument(own)
	for name, tc := range map[string]struct {
		opts     Options
		mode     fs.FileMode
		fileMode string // in the workers' environment
	}{
		"default":     {Options{}, 0o700, ""},
		"group":       {Options{Group: number}, 0o770 | fs.ModeSetgid, "0640"},
		"both":        {Options{Group: number, DirMode: 0o750 | fs.ModeSetgid, FileMode: 0o660}, 0o750 | fs.ModeSetgid, "0660"},
		"mode":        {Options{DirMode: 0o755}, 0o755, ""},
		"environment": {Options{Group: number, Env: []string{envFileMode + "=0660"}}, 0o770 | fs.ModeSetgid, "0660"},
		"over it":     {Options{FileMode: 0o600, Env: []string{envFileMode + "=0660"}}, 0o700, "0600"},
	} {
		t.Run(name, func(t *testing.T) {
			base := t.TempDir()
			defer unix.Umask(unix.Umask(0o077))
			o := tc.opts
			o.Command, o.Dir = "/bin/sh", filepath.Join(base, "a", "b")
			if o.Env == nil {
				o.Env = []string{"A=1"}
			}
			o, err := o.withDefaults()
			require.NoError(t, err)
			for _, dir := range []string{o.Dir, filepath.Dir(o.Dir)} {
				mode, gid := lookAt(t, dir)
				require.Equal(t, tc.mode, mode, dir)
				require.Equal(t, own, gid, dir)
			}
			at := slices.IndexFunc(lastWins(o.Env), func(kv string) bool { return strings.HasPrefix(kv, envFileMode+"=") })
			if tc.fileMode == "" {
				require.Negative(t, at)
			} else {
				require.Equal(t, envFileMode+"="+tc.fileMode, lastWins(o.Env)[at])
			}
		})
	}
}

func groupArgument(gid int) string { return strconv.Itoa(gid) }

// TestDirectoryOfAnotherGroup needs root, or a second group.
func TestDirectoryOfAnotherGroup(t *testing.T) {
	gid := 65534
	if os.Geteuid() != 0 {
		groups, err := os.Getgroups()
		require.NoError(t, err)
		at := slices.IndexFunc(groups, func(g int) bool { return g != os.Getgid() })
		if at < 0 {
			t.Skip("not root, and in no second group")
		}
		gid = groups[at]
	}
	o, err := Options{Command: "/bin/sh", Dir: filepath.Join(t.TempDir(), "d"), Group: groupArgument(gid)}.withDefaults()
	require.NoError(t, err)
	mode, got := lookAt(t, o.Dir)
	require.Equal(t, 0o770|fs.ModeSetgid, mode)
	require.Equal(t, gid, got)
	file := filepath.Join(o.Dir, "new")
	require.NoError(t, os.WriteFile(file, nil, 0o640))
	_, got = lookAt(t, file)
	require.Equal(t, gid, got, "new files get the directory's group")
}

// TestDirectoryThatExists: it keeps its mode and group, and the log says so.
func TestDirectoryThatExists(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o711))
	var log strings.Builder
	logger := slog.New(slog.NewTextHandler(&log, nil))
	_, err := Options{Command: "/bin/sh", Dir: dir, Logger: logger}.withDefaults()
	require.NoError(t, err)
	require.Empty(t, log.String(), "nothing was asked for")
	_, err = Options{Command: "/bin/sh", Dir: dir, Group: groupArgument(os.Getgid()), Logger: logger}.withDefaults()
	require.NoError(t, err)
	require.Contains(t, log.String(), "keeps its mode")
	mode, _ := lookAt(t, dir)
	require.Equal(t, fs.FileMode(0o711), mode)
}

func TestDirectoryOptionsThatFail(t *testing.T) {
	base := t.TempDir()
	file := filepath.Join(base, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for name, tc := range map[string]struct {
		opts Options
		want error
	}{
		"no such group":   {Options{Group: "no such group"}, errOptions},
		"setuid":          {Options{DirMode: 0o700 | fs.ModeSetuid}, errOptions},
		"file for all":    {Options{FileMode: 0o666}, errOptions},
		"file of nobody":  {Options{FileMode: 0o040}, errOptions},
		"not a directory": {Options{Dir: file}, fs.ErrExist},
		"below a file":    {Options{Dir: filepath.Join(file, "d")}, syscall.ENOTDIR},
	} {
		o := tc.opts
		o.Command = "/bin/sh"
		if o.Dir == "" {
			o.Dir = filepath.Join(base, "d")
		}
		_, err := o.withDefaults()
		require.ErrorIs(t, err, tc.want, name)
	}
	require.NoDirExists(t, filepath.Join(base, "d"))
}

// TestWarnsOfTheDirectory: at the start of Run, once.
func TestWarnsOfTheDirectory(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o777))
	var log strings.Builder
	warnOfDir(slog.New(slog.NewTextHandler(&log, nil)), dir)
	require.Contains(t, log.String(), "writable by everybody")
	warnOfDir(slog.New(slog.DiscardHandler), "")
}

// TestVanishedDirectory: a cleaner removes the directory. The next worker finds one
// again, with the configured mode. Readers that had the old one open see the new one.
func TestVanishedDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run", "metrics")
	log := &syncBuffer{}
	r := run(t, Options{
		Workers: 3, Dir: dir, DirMode: 0o750, Env: roleEnv(t, "counter"), SignalsReady: true,
		Logger: slog.New(slog.NewTextHandler(log, nil)),
	})
	pids := r.pids(t)
	a, err := aggregate.Open(dir, aggregate.Options{NoSelfMetrics: true})
	require.NoError(t, err)
	defer a.Close()
	counted := func() float64 {
		families, err := a.Gather(t.Context())
		if err != nil || len(families) == 0 {
			return -1
		}
		require.Equal(t, "earlier", families[0].Name)
		return families[0].Series[0].Value
	}
	require.Equal(t, 3.0, counted())

	require.NoError(t, os.RemoveAll(filepath.Dir(dir)))
	require.Equal(t, -1.0, counted())
	for _, pid := range pids {
		require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
	}
	eventually(t, "the new workers count", func() bool { return counted() == 3 })
	mode, _ := lookAt(t, dir)
	require.Equal(t, fs.FileMode(0o750), mode)
	require.Equal(t, 1, strings.Count(log.String(), "the directory had vanished"), "it is said once")
	require.Contains(t, log.String(), dir)

	// What is in its place is not touched, and the service continues.
	before := r.pids(t)
	require.NoError(t, os.RemoveAll(filepath.Dir(dir)))
	require.NoError(t, os.WriteFile(filepath.Dir(dir), []byte("a file"), 0o600))
	require.NoError(t, syscall.Kill(before[0], syscall.SIGKILL))
	eventually(t, "it is reported", func() bool { return strings.Contains(log.String(), "cannot be recreated") })
	require.NotEqual(t, before[0], r.pids(t)[0])
}
