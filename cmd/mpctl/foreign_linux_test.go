package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/internal/pyfiletest"
	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/supervisor"
)

const someIncarnation = "00112233445566778899aabbccddeeff"

// fittingNames are names that multiprom and client_python use.
func fittingNames() (names []string) {
	for _, kind := range []string{"counter", "summary", "histogram"} {
		names = append(names, kind+"_1.db", kind+"_cache.db")
	}
	for m := metric.Mode(0); m.Valid(); m++ {
		names = append(names, "gauge_"+m.String()+"_1.db", "gauge_"+m.String()+"_1-0.db")
	}
	for _, name := range names[:] {
		names = append(names, name+"_dead-"+someIncarnation+".db")
	}
	return append(names, "app.db", "gauge_1.db", "gauge_old_1.db", "1-"+someIncarnation+".mpm", ".1-"+someIncarnation+".tmp")
}

// foreignContents are what other programs write.
func foreignContents(t *testing.T) map[string][]byte {
	f, err := os.Open("testdata/foreign/sqlite.gz")
	require.NoError(t, err)
	defer f.Close()
	zipped, err := io.ReadAll(f)
	require.NoError(t, err)
	z, err := gzip.NewReader(bytes.NewReader(zipped))
	require.NoError(t, err)
	sqlite, err := io.ReadAll(z)
	require.NoError(t, err)
	out := map[string][]byte{
		"SQLite": sqlite, "gzip": zipped, "text": []byte(strings.Repeat("counter of the year\n", 1000)), "a byte": {1},
		"an array": []byte(`["c", "c_total", {}, ""]`), "late": append(make([]byte, 9000), 1),
	}
	r := rand.New(rand.NewPCG(3, uint64(time.Now().UnixNano())))
	for _, n := range []int{3, 8, 13, 600, 70_000} {
		b := make([]byte, n)
		for b[0] == 0 { // otherwise some are only zeros
			for i := range b {
				b[i] = byte(r.Uint32())
			}
		}
		out[fmt.Sprintf("%d random bytes", n)] = b
	}
	return out
}

// placed is a directory with files that no command may change.
type placed struct {
	dir  string
	want map[string]fs.FileInfo
	what map[string][]byte
}

func (p *placed) put(t *testing.T, name string, content []byte) {
	path := filepath.Join(p.dir, name)
	require.NoError(t, os.WriteFile(path, content, 0o640))
	old := time.Now().Add(-3 * time.Hour) // to see whether it is touched
	require.NoError(t, os.Chtimes(path, old, old))
	info, err := os.Lstat(path)
	require.NoError(t, err)
	p.want[name], p.what[name] = info, content
}

// unchanged fails if a file has changed or is missing.
func (p *placed) unchanged(t *testing.T, after string) {
	t.Helper()
	for name, was := range p.want {
		path := filepath.Join(p.dir, name)
		info, err := os.Lstat(path)
		require.NoError(t, err, "%s has lost its name: %s", name, after)
		require.True(t, os.SameFile(was, info), "%s is another file: %s", name, after)
		require.Equal(t, was.Mode(), info.Mode(), "%s: %s", name, after)
		require.Equal(t, was.ModTime(), info.ModTime(), "%s: %s", name, after)
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		require.True(t, bytes.Equal(p.what[name], b), "%s has another content: %s", name, after)
	}
}

// neighbours adds files of dead processes, so that every command has work to do.
func neighbours(t *testing.T, dir string) {
	from := t.TempDir()
	s, err := mpm.Create(from, mpm.Options{Label: "dead"})
	require.NoError(t, err)
	require.NoError(t, fill(s, "7"))
	b, err := os.ReadFile(s.Path())
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, filepath.Base(s.Path())), b, 0o600)) // without a lock
	c := pyfiletest.Timed.Content(pyfiletest.Sample{Key: `["c", "c_total", {}, "H."]`, Value: 5})
	require.NoError(t, os.WriteFile(filepath.Join(dir, "counter_2.db"), c, 0o600))
}

// TestForeignFiles: no command changes a file whose content is not multiprom's or
// client_python's, whatever its name. The files next to it are served, compacted and wiped.
func TestForeignFiles(t *testing.T) {
	for what, content := range foreignContents(t) {
		t.Run(what, func(t *testing.T) {
			p := placed{t.TempDir(), map[string]fs.FileInfo{}, map[string][]byte{}}
			for _, name := range fittingNames() {
				p.put(t, name, content)
			}
			throughEveryVerb(t, &p)
		})
	}
	t.Run("of our own, under other names", func(t *testing.T) {
		p := placed{t.TempDir(), map[string]fs.FileInfo{}, map[string][]byte{}}
		neighbours(t, p.dir)
		files, err := metricFiles(p.dir)
		require.NoError(t, err)
		for _, path := range files {
			b, err := os.ReadFile(path)
			require.NoError(t, err)
			require.NoError(t, os.Remove(path))
			for _, name := range []string{"app.db", "gauge_1.db", "1-" + someIncarnation + ".mpm", ".1-" + someIncarnation + ".tmp"} {
				p.put(t, name, b)
			}
			if !bytes.HasPrefix(b, []byte("\x89MPM")) {
				continue
			}
			for _, name := range fittingNames() {
				if strings.HasSuffix(name, ".db") {
					p.put(t, name, b)
				}
			}
		}
		throughEveryVerb(t, &p)
	})
}

func throughEveryVerb(t *testing.T, p *placed) {
	code, out := mpctl(t, "check", "--dir", p.dir)
	require.Equal(t, exitNo, code)
	for name := range p.want {
		if !strings.HasSuffix(name, ".tmp") {
			require.Contains(t, out, filepath.Join(p.dir, name)+": ")
		}
	}
	for _, args := range [][]string{
		{"dump"}, {"check", "--json"}, {"ls"}, {"ls", "--json"}, {"gc", "--dry-run", "--python"}, {"gc"}, {"gc", "--python"}, {"gc", "--python", "--compact-marked"},
		{"mark-dead", "1"}, {"mark-dead", "--force", "1"}, {"mark-dead", "cache"}, {"mark-dead", "1-0"}, {"wipe"}, {"wipe", "--force"},
	} {
		neighbours(t, p.dir)
		code, out := mpctl(t, append(args, "--dir", p.dir)...)
		p.unchanged(t, strings.Join(args, " "))
		switch args[0] {
		case "dump":
			require.Equal(t, exitOK, code, out)
			require.Regexp(t, `(?m)^c_total 5$`, out)
			require.Regexp(t, fmt.Sprintf(`(?m)^multiprom_files\{state="foreign"\} %d$`, len(p.want)-1), out, "all but the temporary one")
			require.Regexp(t, `(?m)^multiprom_files\{state="corrupt"\} 0$`, out)
		case "mark-dead":
			require.Equal(t, exitNo, code, out)
			require.Contains(t, out, "no file of that process")
		case "wipe":
			require.Equal(t, exitOK, code, out)
			left, err := os.ReadDir(p.dir)
			require.NoError(t, err)
			require.Len(t, left, len(p.want)+1, "and an empty archive")
		}
	}
	for name := range p.want {
		if code, out := mpctl(t, "mark-dead", "--force", name, "--dir", p.dir); code != exitNo {
			require.Equal(t, exitNo, code, "%s: %s", name, out)
		}
		mpctl(t, "inspect", filepath.Join(p.dir, name))
	}
	p.unchanged(t, "mark-dead by name, inspect")
	for _, onStart := range []supervisor.OnStart{supervisor.OnStartCompact, supervisor.OnStartWipe, supervisor.OnStartRefuse} {
		if onStart == supervisor.OnStartRefuse {
			require.NoError(t, os.Remove(filepath.Join(p.dir, mpm.ArchiveName)))
		} else {
			neighbours(t, p.dir)
		}
		ctx, cancel := context.WithCancel(t.Context())
		started := filepath.Join(t.TempDir(), "started")
		s, err := supervisor.New(supervisor.Options{
			Command: "/bin/sh", Args: []string{"-c", ": >'" + started + "'; exec sleep 600"}, Workers: 1, Dir: p.dir, OnStart: onStart, Logger: slog.New(slog.DiscardHandler),
		})
		require.NoError(t, err)
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		require.Eventually(t, func() bool { _, err := os.Stat(started); return err == nil }, time.Minute, time.Millisecond, "on start: %s", onStart)
		cancel()
		require.NoError(t, <-ended, "on start: %s", onStart)
		p.unchanged(t, "on start: "+onStart.String())
	}
}

// TestForeignArchive: a foreign file with the name of the archive is not replaced. The
// commands say that it is in the way.
func TestForeignArchive(t *testing.T) {
	for what, content := range foreignContents(t) {
		for _, name := range []string{"archive.mpm", "archive.mpm.tmp"} {
			t.Run(what+" "+name, func(t *testing.T) {
				p := placed{t.TempDir(), map[string]fs.FileInfo{}, map[string][]byte{}}
				p.put(t, name, content)
				neighbours(t, p.dir)
				before, err := os.ReadDir(p.dir)
				require.NoError(t, err)
				for _, args := range [][]string{{"gc", "--python"}, {"wipe"}, {"wipe", "--force"}, {"mark-dead", "1"}, {"check"}, {"ls"}, {"dump"}} {
					code, out := mpctl(t, append(args, "--dir", p.dir)...)
					p.unchanged(t, strings.Join(args, " "))
					if args[0] == "gc" || args[0] == "wipe" {
						require.Equal(t, exitError, code, out)
						require.Contains(t, out, name+": not a multiprom file")
					}
				}
				after, err := os.ReadDir(p.dir)
				require.NoError(t, err)
				require.Equal(t, len(before), len(after))
			})
		}
	}
}

// TestEmptyAndDamagedFiles: an empty file, and a file that begins like a client's, is
// removed once no process has it open.
func TestEmptyAndDamagedFiles(t *testing.T) {
	whole := pyfiletest.Timed.Content(
		pyfiletest.Sample{Key: `["c", "c_total", {"l": "x"}, "H."]`, Value: 1}, pyfiletest.Sample{Key: `["c", "c_total", {"l": "y"}, "H."]`, Value: 1})
	contents := map[string][]byte{
		"empty": nil, "zeros": make([]byte, 1<<16), "a header": append([]byte{8}, make([]byte, 4095)...),
		"cut in the first key": whole[:20], "cut in the second": whole[:90], "cut in a value": whole[:61], "bad second key": bytes.Replace(whole, []byte(`"y"`), []byte(`"y,`), 1),
	}
	for what, content := range contents {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			ours := fittingNames()
			ours = slices.DeleteFunc(ours, func(name string) bool { return name == "app.db" || name == "gauge_1.db" || name == "gauge_old_1.db" })
			if len(content) > 0 && content[0] != 0 {
				ours = slices.DeleteFunc(ours, func(name string) bool { return !strings.HasSuffix(name, ".db") })
			}
			for _, name := range ours {
				require.NoError(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
			}
			held, err := os.OpenFile(filepath.Join(dir, "counter_cache.db"), os.O_RDWR, 0)
			require.NoError(t, err)
			code, out := mpctl(t, "wipe", "--dir", dir)
			require.Equal(t, exitNo, code, out)
			code, out = mpctl(t, "wipe", "--force", "--dir", dir)
			require.Equal(t, exitOK, code, out)
			left, err := os.ReadDir(dir)
			require.NoError(t, err)
			require.Len(t, left, 2, "the archive, and what is open")
			require.FileExists(t, filepath.Join(dir, "counter_cache.db"))
			require.NoError(t, held.Close())
			code, out = mpctl(t, "wipe", "--dir", dir)
			require.Equal(t, exitOK, code, out)
			require.NoFileExists(t, filepath.Join(dir, "counter_cache.db"))
		})
	}
}
