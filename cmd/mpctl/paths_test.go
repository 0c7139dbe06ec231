package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/mpm"
)

// TestNoPathTwice: no line of output names a file or directory twice, whatever is wrong
// with it.
func TestNoPathTwice(t *testing.T) {
	s, err := mpm.Create(t.TempDir(), mpm.Options{})
	require.NoError(t, err)
	require.NoError(t, fill(s, "1"))
	healthy, err := os.ReadFile(s.Path())
	require.NoError(t, err)
	native := filepath.Base(s.Path())
	damaged := func(at int, with byte) []byte {
		b := append([]byte(nil), healthy...)
		b[at] ^= with
		return b
	}
	for what, files := range map[string]map[string][]byte{
		"nothing":         {},
		"foreign":         {native: []byte("text"), "counter_1.db": []byte("text that is long enough for a header"), "weird_1.db": []byte("x")},
		"empty":           {native: nil, "counter_1.db": nil},
		"damaged":         {native: damaged(600, 0xff)},
		"damaged header":  {native: damaged(200, 1)},
		"another version": {native: damaged(8, 8)},
		"another name":    {"77-" + strings.Repeat("ab", 16) + ".mpm": healthy},
		"cut short":       {native: healthy[:1000]},
		"archive":         {mpm.ArchiveName: []byte("text")},
		"empty archive":   {mpm.ArchiveName: nil},
	} {
		for _, verb := range [][]string{
			{"ls"}, {"check"}, {"gc"}, {"gc", "--python"}, {"gc", "--dry-run"}, {"dump", "--dir"}, {"wipe"}, {"wipe", "--force"},
			{"mark-dead", native, "--dir"}, {"mark-dead", "1", "--dir"}, {"inspect"}, {"check", "FILES"},
		} {
			dir := filepath.Join(t.TempDir(), "metrics")
			require.NoError(t, os.Mkdir(dir, 0o700))
			for name, b := range files {
				require.NoError(t, os.WriteFile(filepath.Join(dir, name), b, 0o600))
			}
			args := append(verb[:len(verb):len(verb)], dir)
			if verb[0] == "inspect" || len(verb) == 2 && verb[1] == "FILES" {
				if len(files) == 0 {
					continue
				}
				args = []string{verb[0]}
				for name := range files {
					args = append(args, filepath.Join(dir, name))
				}
			}
			code, out := mpctl(t, args...)
			require.Contains(t, []int{exitOK, exitNo, exitError}, code)
			for line := range strings.Lines(out) {
				require.LessOrEqual(t, strings.Count(line, dir), 1, "%s, %v: %s", what, verb, line)
				for name := range files {
					require.LessOrEqual(t, strings.Count(line, name), 1, "%s, %v: %s", what, verb, line)
				}
			}
		}
	}
	code, out := mpctl(t, "ls", filepath.Join(t.TempDir(), "none"))
	require.Equal(t, exitError, code)
	require.Equal(t, 1, strings.Count(out, "none"), out)
}

// TestNoTerminal: the null device is a device but not a terminal.
func TestNoTerminal(t *testing.T) {
	t.Setenv("TERM", "xterm")
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	require.NoError(t, err)
	defer null.Close()
	require.False(t, isTerminal(null))
	require.False(t, isTerminal(new(strings.Builder)))
}
