package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/mpm"
)

// leaveIn writes the file of a dead process of a PID namespace into dir and returns its
// incarnation.
func leaveIn(t *testing.T, dir, label string, pid int, namespace uint64) (id string) {
	t.Helper()
	s, err := mpm.Create(t.TempDir(), mpm.Options{Label: label, Identity: func() mpm.Identity {
		return mpm.Identity{PID: pid, PIDNamespace: namespace}
	}})
	require.NoError(t, err)
	b, err := os.ReadFile(s.Path())
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, filepath.Base(s.Path())), b, 0o600))
	return s.Header().Incarnation.String()
}

// TestRowsHaveAnID: if a PID is ambiguous, or is of another namespace, the rows have an ID
// that mark-dead accepts. Otherwise they have none.
func TestRowsHaveAnID(t *testing.T) {
	here := mpm.CurrentIdentity().PIDNamespace
	for name, tc := range map[string]struct {
		pids       [2]int
		namespaces [2]uint64
		shown      bool
	}{
		"two PIDs":              {[2]int{7, 8}, [2]uint64{here, here}, false},
		"a PID that came again": {[2]int{7, 7}, [2]uint64{here, here}, true},
		"other namespaces":      {[2]int{7, 7}, [2]uint64{here + 1, here + 2}, true},
		"one of another":        {[2]int{7, 8}, [2]uint64{here, here + 1}, true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			first := leaveIn(t, dir, "web", tc.pids[0], tc.namespaces[0])
			second := leaveIn(t, dir, "api", tc.pids[1], tc.namespaces[1])
			code, out := mpctl(t, "ls", dir)
			require.Equal(t, exitOK, code, out)
			header, _, _ := strings.Cut(out, "\n")
			require.Equal(t, tc.shown, strings.Contains(header, " INCARNATION "), header)
			for _, id := range []string{first, second} {
				require.Equal(t, tc.shown, strings.Contains(out, " "+id[:8]+" "), out)
				code, marked := mpctl(t, "mark-dead", id[:8], "--dir", dir)
				require.Equal(t, exitOK, code, marked)
				require.Contains(t, marked, id+".mpm")
			}
			code, out = mpctl(t, "ls", dir, "--json")
			require.Equal(t, exitOK, code)
			var items []listed
			require.NoError(t, json.Unmarshal([]byte(out), &items))
			require.ElementsMatch(t, []string{first, second}, []string{items[0].Incarnation, items[1].Incarnation})
		})
	}

	dir := t.TempDir()
	id := leaveIn(t, dir, "web", 7, here+1)
	code, out := mpctl(t, "mark-dead", "7", "--dir", dir)
	require.Equal(t, exitNo, code)
	require.Contains(t, out, "a process of that pid in another PID namespace has 7-"+id+".mpm (label \"web\"): name that file")
}
