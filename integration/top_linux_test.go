package integration

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/glance"
)

// pane is a terminal of a tmux server of its own.
type pane struct {
	t            *testing.T
	tmux, socket string
}

// startPane runs a command in a terminal of that size. The server ends with the test.
func startPane(t *testing.T, columns, lines string, command ...string) *pane {
	t.Helper()
	p := &pane{t, needCommand(t, "tmux"), filepath.Join(t.TempDir(), "s")}
	p.do(append([]string{"-f", "/dev/null", "new-session", "-d", "-x", columns, "-y", lines}, command...)...)
	t.Cleanup(func() { exec.Command(p.tmux, "-S", p.socket, "kill-server").Run() }) // it may have ended
	p.do("set-option", "-g", "remain-on-exit", "on")
	return p
}

func (p *pane) do(args ...string) string {
	p.t.Helper()
	cmd := exec.Command(p.tmux, append([]string{"-S", p.socket}, args...)...)
	cmd.Env = append(os.Environ(), "TERM=xterm", "LC_ALL=C.UTF-8")
	out, err := cmd.CombinedOutput()
	require.NoError(p.t, err, "tmux %v: %s", args, out)
	return string(out)
}

func (p *pane) press(keys ...string) {
	p.t.Helper()
	p.do(append([]string{"send-keys"}, keys...)...)
}

// shows waits until the screen matches, and returns it.
func (p *pane) shows(pattern string) (screen string) {
	p.t.Helper()
	re := regexp.MustCompile("(?m)" + pattern)
	eventually(p.t, "the screen shows "+pattern, func() bool {
		screen = p.do("capture-pane", "-p")
		return re.MatchString(screen)
	})
	return screen
}

// TestTopInATerminal watches the demo, whose workers are killed, as an operator does.
func TestTopInATerminal(t *testing.T) {
	needCommand(t, "tmux")
	dir := t.TempDir()
	startDemo(t, "--kill", "--dir", dir)
	ended := filepath.Join(t.TempDir(), "ended") // tmux 3.3a does not always say how a command has ended
	p := startPane(t, "80", "24", "sh", "-c", `"$@"; echo $? >"$0.new"; mv "$0.new" "$0"`, ended, mpctl(t), "top", dir, "--interval", "250ms")
	t.Log(p.shows(`^ +\d+ +\d+ \d+ +live +\d+s +\d+s +\d+% +\d+% +\S+M `))

	p.press("s", "s", "s", "s", "s", "s")
	p.shows(`SHARE\* `)
	p.press("r", "Tab")
	t.Log(p.shows(`^demo_requests +counter +(?:- +)?1 +\d+ +[1-9]\S* +`))
	p.press("/", "h", "i", "s", "t", "Enter")
	p.shows(`filter "hist": 1 row`)
	p.press("Enter")
	p.shows(`^rates of demo_request_duration_seconds`)
	p.do("resize-window", "-x", "60", "-y", "20")
	screen := p.shows(`^SLOT .*RATE/s\*( CPU +RSS)?$`)
	for line := range strings.Lines(screen) {
		require.LessOrEqual(t, len([]rune(strings.TrimRight(line, " \n"))), 60)
	}
	t.Log(screen)
	p.press("p")
	p.shows(`PAUSED`)
	p.press("h")
	require.NotContains(t, p.shows(`^1-18 of \d+ +arrows`), "each row has its own scale")
	p.press("End")
	t.Log(p.shows(`each row has its own scale`))
	p.do("resize-window", "-x", "60", "-y", "12")
	p.shows(`^3-12 of 20 `)
	p.press("End")
	seen := p.shows(`^11-20 of 20 `)
	p.press("PageUp")
	seen += p.shows(`^1-10 of 20 `)
	t.Log(seen)
	require.Contains(t, seen, "sort by the next column")
	p.press("x")
	p.shows(`PAUSED`)
	p.press("q")
	eventually(t, "top ends", func() bool {
		_, err := os.Stat(ended)
		return err == nil
	})
	code, err := os.ReadFile(ended)
	require.NoError(t, err)
	require.Equal(t, "0\n", string(code))

	out, err := exec.Command(mpctl(t), "top", dir, "--once", "--json", "--interval", "500ms").Output()
	require.NoError(t, err)
	var picture glance.Picture
	require.NoError(t, json.Unmarshal(out, &picture))
	require.NotEmpty(t, picture.Workers)
	require.GreaterOrEqual(t, picture.Seconds, 0.5, "more if the machine is busy")
}

// TestTopNamesTheStuck: one look tells which worker was stopped by a signal and, since it changes
// nothing while another one does, that it is silent.
func TestTopNamesTheStuck(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "app")
	require.NoError(t, os.Mkdir(dir, 0o700))
	stuck, other := start(t, "recorded", dir), start(t, "recorded", dir)
	for _, w := range []*helper{stuck, other} {
		require.True(t, w.lines.Scan(), "it counts")
		go func() {
			for w.lines.Scan() {
			}
		}()
	}
	require.NoError(t, stuck.Process.Signal(syscall.SIGSTOP))
	id := strconv.Itoa(stuck.Process.Pid)
	see := func() (p glance.Picture) {
		out, err := exec.Command(mpctl(t), "top", dir, "--once", "--json", "--interval", "2s").Output()
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(out, &p))
		return p
	}
	eventually(t, "the stopped worker is named, and no other", func() bool {
		h := see().Health
		return slices.Equal(h.Stopped, []string{id}) && slices.Equal(h.Silent, []string{id})
	})
	out, err := exec.Command(mpctl(t), "top", dir, "--once", "--interval", "2s").Output()
	require.NoError(t, err)
	require.Regexp(t, `(?m)^ +\d+ +`+id+` +`+id+` +STOPPED `, string(out))
	require.Contains(t, string(out), "stopped by a signal: "+id)
	require.NoError(t, stuck.Process.Signal(syscall.SIGCONT))
	eventually(t, "it goes on", func() bool { return see().Health.OK })
}
