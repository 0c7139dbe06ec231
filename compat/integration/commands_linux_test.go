package integration

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/doctest"
)

// TestCommandsOfTheExamples runs the commands that each example's comment has, as they
// stand but for the directory and the ports: each address serves metrics.
func TestCommandsOfTheExamples(t *testing.T) {
	examples, err := filepath.Glob("../examples/*/main.go")
	require.NoError(t, err)
	require.Len(t, examples, 7)
	for _, example := range examples {
		t.Run(filepath.Base(filepath.Dir(example)), func(t *testing.T) {
			blocks := doctest.PackageBlocks(t, example)
			require.Len(t, blocks, 1)
			dir := filepath.Join(t.TempDir(), "app")
			require.Contains(t, blocks[0], "/dev/shm/app")
			commands := strings.ReplaceAll(blocks[0], "/dev/shm/app", dir)
			var addresses []string
			commands = regexp.MustCompile(`127\.0\.0\.1:\d+`).ReplaceAllStringFunc(commands, func(string) string {
				l, err := net.Listen("tcp4", "127.0.0.1:0")
				require.NoError(t, err)
				defer l.Close()
				addresses = append(addresses, l.Addr().String())
				return l.Addr().String()
			})
			require.NotEmpty(t, addresses)
			log, err := os.Create(filepath.Join(t.TempDir(), "log"))
			require.NoError(t, err)
			defer log.Close()
			said := func() string {
				b, _ := os.ReadFile(log.Name())
				return string(b)
			}
			for line := range strings.Lines(commands) {
				cmd := exec.Command("sh", "-c", line)
				cmd.Dir = ".." // the module's root
				cmd.Env = append(os.Environ(), "PROMETHEUS_MULTIPROC_DIR=")
				cmd.Stdout, cmd.Stderr = log, log
				cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
				if !strings.Contains(line, "go run ") {
					require.NoError(t, cmd.Run(), "%s: %s", line, said())
					continue
				}
				require.NoError(t, cmd.Start(), line)
				t.Cleanup(func() { // the shell, go run, the server and its children
					syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
					cmd.Wait()
				})
			}
			for _, address := range addresses {
				require.True(t, assert.Eventually(t, func() bool {
					text, err := fetch("http://" + address + "/metrics")
					return err == nil && strings.Contains(text, "\nmultiprom_processes{")
				}, 5*patience, poll, address), said()) // they are compiled first
			}
		})
	}
}
