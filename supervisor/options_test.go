//go:build unix

package supervisor

import (
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/internal/optiontest"
	"github.com/multiprom/multiprom/multiproc"
)

func TestOptions(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	t.Setenv(envDir, dir) // New sets it
	constants := optiontest.Row{Bad: []any{77}}
	period := optiontest.Row{}
	rows := map[string]optiontest.Row{
		"Workers": {}, "Command": {Bad: []any{"no-such-command-here"}, Good: []any{"/bin/sh"}}, "Args": {Good: []any{[]string{}}}, "SignalsReady": {},
		"ShimCommand": {}, "Env": {Good: []any{[]string{}}}, "Dir": {Bad: []any{file, filepath.Join(file, "below")}, Good: []any{dir}},
		"ProcessIDBySlot": {}, "OnStart": constants, "KillMode": constants, "NoReap": {},
		"NoCompact": {}, "Compact": {Bad: []any{aggregate.CompactorOptions{Period: -1}}}, "Group": {Bad: []any{"no such group"}},
		"DirMode":        {Bad: []any{uint32(fs.ModeSetuid | 0o700), 0o077}, Good: []any{0o700, uint32(fs.ModeSetgid | 0o770)}},
		"FileMode":       {Bad: []any{0o666, 0o040}, Good: []any{0o640}},
		"Listeners":      {Bad: []any{[]Listener{{}}, []Listener{{Address: "udp://127.0.0.1:0"}}}, Good: []any{[]Listener{{Address: "127.0.0.1:0"}}}},
		"MetricsAddress": {Bad: []any{"udp://127.0.0.1:0", "127.0.0.1:-1"}, Good: []any{"127.0.0.1:0"}},
		"Metrics":        {Bad: []any{http.NotFoundHandler()}}, // there is no address
		"MetricsLenient": {Bad: []any{true}},                   // there is no address
		"Exits":          {Good: []any{[]Exit{exitFunc(nil)}}},
		"Record":         period,
		"DrainTimeout":   period, "ReadyTimeout": period, "ReadyAfter": period, "Backoff.Min": period, "Backoff.Max": {Bad: []any{1}}, "Backoff.Young": period,
		"DeathSignal": {Bad: []any{4096}}, "Subreaper": {}, "Stdout": {}, "Stderr": {}, "Logger": {}, "OnWorkerStart": {}, "OnWorkerExit": {},
	}
	try := func(o Options) error {
		s, err := New(o)
		if err == nil {
			s.release()
		}
		return err
	}
	optiontest.Check(t, Options{Dir: dir}, rows, try)
	_, err := New(Options{Dir: dir, MetricsAddress: "127.0.0.1:0", Metrics: http.NotFoundHandler(), MetricsLenient: true})
	require.ErrorContains(t, err, "MetricsLenient")
	// Options that have no use without a directory are checked anyway.
	t.Setenv(envDir, "")
	rows["Dir"] = optiontest.Row{Good: []any{t.TempDir()}}
	rows["Record"] = optiontest.Row{Bad: []any{time.Minute}}
	rows["Group"] = optiontest.Row{Bad: []any{"no such group"}}
	rows["MetricsAddress"] = optiontest.Row{Bad: []any{"127.0.0.1:0"}} // there is nothing to serve
	rows["Exits"] = optiontest.Row{Bad: []any{[]Exit{exitFunc(nil)}}}  // nor to send
	optiontest.Check(t, Options{}, rows, func(o Options) error {
		t.Setenv(envDir, "")
		return try(o)
	})
	require.False(t, multiproc.Default().Opened())
}

func TestListenerOptions(t *testing.T) {
	optiontest.Check(t, Listener{Address: "127.0.0.1:0"}, map[string]optiontest.Row{
		"Name":    {Bad: []any{"a:b", "é", strings.Repeat("x", 256)}, Good: []any{"http"}},
		"Address": {Needed: true, Bad: []any{"udp://127.0.0.1:0", "127.0.0.1:nonsense"}},
		// Two of the three contradict each other.
		"Listener": {Bad: []any{struct{ net.Listener }{}}}, "File": {Bad: []any{os.Stdin}},
	}, func(l Listener) error {
		s, err := openSocket(l, 0, false)
		if err == nil {
			s.close()
		}
		return err
	})
}
