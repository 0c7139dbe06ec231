package aggregate

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/internal/optiontest"
)

// leaveFile puts the file of a dead process into dir.
func leaveFile(t *testing.T, dir, label string, pid int, namespace uint64) (name, incarnation string) {
	t.Helper()
	elsewhere := t.TempDir()
	s, err := mpm.Create(elsewhere, mpm.Options{
		Label: label, Identity: func() mpm.Identity { return mpm.Identity{PID: pid, PIDNamespace: namespace} },
	})
	require.NoError(t, err)
	b, err := os.ReadFile(s.Path())
	require.NoError(t, err)
	name = filepath.Base(s.Path())
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), b, 0o600))
	return name, s.Header().Incarnation.String()
}

// TestWhoIsMarked: what an ID means, and what the error says about processes with that
// PID in other namespaces.
func TestWhoIsMarked(t *testing.T) {
	here := mpm.CurrentIdentity().PIDNamespace
	dir := t.TempDir()
	own, _ := leaveFile(t, dir, "7", 7, here)
	next, nextID := leaveFile(t, dir, "7", 7, here+1)
	twin, twinID := leaveFile(t, dir, "7", 7, here+2)
	web, webID := leaveFile(t, dir, "web", 8, here+1)
	for i := range 5 {
		leaveFile(t, dir, "9", 9, here+uint64(i)+1)
	}
	for id, want := range map[string][]string{
		"7":                 {own},
		own:                 {own},
		next:                {next},
		nextID[:8]:          {next},
		twinID:              {twin},
		"web":               {web},
		"web-" + webID[:4]:  {web}, // its suffix next to an older one
		webID[:7]:           nil,   // too short
		webID[1:]:           nil,
		"8":                 nil,
		"9":                 nil,
		"7-" + twinID[:4]:   {twin},
		"web-" + twinID[:4]: nil,
	} {
		got, err := MarkProcessDead(t.Context(), dir, id, MarkOptions{})
		require.Equal(t, want, got, "%q: %v", id, err)
		if want == nil {
			require.ErrorIs(t, err, ErrNoSuchProcess, id)
		}
	}
	_, err := MarkProcessDead(t.Context(), dir, "", MarkOptions{})
	require.ErrorContains(t, err, "id is empty", "no id is no process's")

	_, err = chooseBegun([]string{"1-a.mpm", "2-b.mpm"})
	require.ErrorIs(t, err, ErrAmbiguous)
	require.ErrorContains(t, err, "1-a.mpm, 2-b.mpm")
	_, err = MarkProcessDead(t.Context(), dir, "8", MarkOptions{})
	require.ErrorContains(t, err, fmt.Sprintf(`a process of that pid in another PID namespace has %s (label "web"): name that file`, web))
	_, err = MarkProcessDead(t.Context(), dir, "9", MarkOptions{})
	require.ErrorContains(t, err, "and 1 more: name one of these files")
	_, err = MarkProcessDead(t.Context(), dir, "10", MarkOptions{})
	require.NotContains(t, err.Error(), "namespace")
}

func TestMarkOptions(t *testing.T) {
	dir := t.TempDir()
	optiontest.Check(t, MarkOptions{}, map[string]optiontest.Row{"Force": {}, "Wait": {}}, func(o MarkOptions) error {
		_, err := MarkProcessDead(t.Context(), dir, "4711", o)
		if errors.Is(err, ErrNoSuchProcess) {
			return nil // it was looked for
		}
		return err
	})
}
