package doctest

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// RunCommands runs the commands of a program's package comment in the root of the repository,
// as they stand but for the directory /dev/shm/app and the ports: each address serves the
// metrics of the directory, and each URL gets a request. Programs run until the end of the test.
func RunCommands(t *testing.T, root, program string) {
	t.Helper()
	blocks := PackageBlocks(t, program)
	if len(blocks) != 1 || !strings.Contains(blocks[0], "go -C ") {
		t.Fatalf("%s: its comment does not say how it is started: %q", program, blocks)
	}
	commands := strings.ReplaceAll(blocks[0], "/dev/shm/app", filepath.Join(t.TempDir(), "app"))
	ports := map[string]string{}
	var asked []*atomic.Bool
	commands = regexp.MustCompile(`(http://)?127\.0\.0\.1:\d+`).ReplaceAllStringFunc(commands, func(said string) string {
		if ports[said] != "" {
			return ports[said]
		}
		if strings.HasPrefix(said, "http://") {
			was := new(atomic.Bool)
			receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				io.Copy(io.Discard, r.Body)
				was.Store(true)
			}))
			t.Cleanup(receiver.Close)
			asked = append(asked, was)
			ports[said] = receiver.URL
			return receiver.URL
		}
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ports[said] = l.Addr().String()
		return ports[said]
	})
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	eventually := func(what string, ok func() bool) {
		for deadline := time.Now().Add(5 * time.Minute); !ok(); time.Sleep(20 * time.Millisecond) { // they are compiled first
			if time.Now().After(deadline) {
				said, _ := os.ReadFile(log.Name())
				t.Fatalf("%s: %s\n%s", program, what, said)
			}
		}
	}
	command := func(line string) *exec.Cmd {
		cmd := exec.Command("sh", "-c", line)
		cmd.Dir = root
		cmd.Env = append(os.Environ(), "PROMETHEUS_MULTIPROC_DIR=")
		cmd.Stdout, cmd.Stderr = log, log
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		return cmd
	}
	for line := range strings.Lines(commands) {
		if !strings.Contains(line, "go -C ") {
			eventually(line, func() bool { return command(line).Run() == nil })
			continue
		}
		cmd := command(line)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { // the shell, the go command, the program and its children
			syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			cmd.Wait()
		})
	}
	for said, address := range ports {
		if strings.HasPrefix(said, "http://") {
			continue
		}
		eventually(said+" does not serve metrics", func() bool {
			resp, err := http.Get("http://" + address + "/metrics")
			if err != nil {
				return false
			}
			defer resp.Body.Close()
			text, err := io.ReadAll(resp.Body)
			return err == nil && strings.Contains(string(text), "\nmultiprom_processes{")
		})
	}
	for _, was := range asked {
		eventually("a URL got no request", was.Load)
	}
}
