package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/doctest"
	"github.com/multiprom/multiprom/multiproc"
)

func init() { roles["shop"] = shopRole } // on Linux alone

// shopRole counts requests until the test closes its stdin or kills it.
func shopRole() error {
	requests := multiproc.NewCounterVec(multiproc.CounterOpts{Name: "http_requests", Help: "Requests."}, []string{"code"})
	if err := multiproc.Default().Open(); err != nil {
		return err
	}
	go func() {
		for range time.Tick(20 * time.Millisecond) {
			requests.WithLabelValues("200").Inc()
		}
	}()
	fmt.Println("open")
	return block()
}

// shell runs the commands of a page in a folder and returns what they print. mpctl is in
// the PATH. replace are pairs of a text of the page and what takes its place.
func shell(t *testing.T, folder, commands string, replace ...string) string {
	t.Helper()
	cmd := shellCommand(t, folder, commands, replace...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, "%s\n%s%s", commands, out, stderr.String())
	return string(out)
}

func shellCommand(t *testing.T, folder, commands string, replace ...string) *exec.Cmd {
	t.Helper()
	for i := 0; i < len(replace); i += 2 {
		require.Contains(t, commands, replace[i])
	}
	cmd := exec.Command("sh", "-e", "-c", strings.NewReplacer(replace...).Replace(commands))
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(mpctl(t))+":"+os.Getenv("PATH"))
	return cmd
}

// background runs the commands of a page, which end with the test.
func background(t *testing.T, folder, commands string, replace ...string) (stop func()) {
	t.Helper()
	cmd := shellCommand(t, folder, commands, replace...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	require.NoError(t, cmd.Start())
	stop = func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		cmd.Wait()
	}
	t.Cleanup(stop)
	return stop
}

// startShop starts a process of the shop with that process ID.
func startShop(t *testing.T, dir, id string) *helper {
	t.Helper()
	t.Setenv("MULTIPROM_PROCESS_ID", id)
	h := start(t, "shop", dir)
	h.expect(t, "open")
	return h
}

// TestCommandsOfOperations runs the commands of docs/operations.md in a directory that is
// recorded, after one of its two processes was killed.
func TestCommandsOfOperations(t *testing.T) {
	needCommand(t, "jq")
	blocks := doctest.MarkdownBlocks(t, "../docs/operations.md", "sh")
	require.Len(t, blocks, 3)
	dir := filepath.Join(t.TempDir(), "app")
	require.NoError(t, os.Mkdir(dir, 0o700))
	killed := startShop(t, dir, "4711")
	startShop(t, dir, "4712")
	startMpctl(t, nil, "serve", dir, "--record", "10m", "--web.listen-address", freeAddress(t))
	eventually(t, "two seconds are recorded", func() bool {
		code, out := mpctlSays(t, "replay", "--rate", "http_requests", "--dir", dir)
		return code == 0 && strings.Count(out, "\n") > 4
	})
	killed.kill()
	eventually(t, "the recorder has seen the death", func() bool {
		_, out := mpctlSays(t, "replay", "--dir", dir)
		return strings.Contains(out, "4711")
	})

	require.Empty(t, shell(t, "", blocks[0], "/dev/shm/app", dir), "nobody is silent")
	lines := strings.Split(strings.TrimSpace(blocks[1]), "\n")
	for i, says := range []string{"4711", `http_requests_total{code="200"} `, "4712", "http_requests"} {
		replace := []string{"/dev/shm/app", dir}
		if strings.Contains(lines[i], "-30s") {
			replace = append(replace, "-30s", "-1s") // it has not run for half a minute
		}
		require.Contains(t, shell(t, "", lines[i], replace...), says, lines[i])
	}
	require.Len(t, lines, 4)
	says := shell(t, t.TempDir(), blocks[2], "/dev/shm/app", dir, "-60s", "-1s")
	require.Regexp(t, `(?m)^\d+ +\d+ +\+[1-9]\d* +http_requests_total\{code="200"\}$`, says)
}

// TestCommandsOfScale runs a Prometheus as docs/scale.md says, with the rule of the page, and
// sends to it by either command of the page. The page's query has an answer.
func TestCommandsOfScale(t *testing.T) {
	needCommand(t, "prometheus")
	const page = "../docs/scale.md"
	yaml, commands := doctest.MarkdownBlocks(t, page, "yaml"), doctest.MarkdownBlocks(t, page, "sh")
	queries := doctest.MarkdownBlocks(t, page, "promql")
	require.Len(t, yaml, 2)
	require.Len(t, commands, 3)
	require.Len(t, queries, 1)
	dir := filepath.Join(t.TempDir(), "shop")
	require.NoError(t, os.Mkdir(dir, 0o700))
	startShop(t, dir, "4711")

	folder, address := t.TempDir(), freeAddress(t)
	require.NoError(t, os.WriteFile(filepath.Join(folder, "rules.yml"), []byte(yaml[1]), 0o600))
	for _, target := range []string{"host:9091", "host:9092"} {
		require.Contains(t, yaml[0], target)
		yaml[0] = strings.Replace(yaml[0], target, freeAddress(t), 1) // nobody is there
	}
	require.NoError(t, os.WriteFile(filepath.Join(folder, "prometheus.yml"), []byte("rule_files: [rules.yml]\n"+yaml[0]), 0o600))
	shell(t, folder, needCommand(t, "promtool")+" check config prometheus.yml")
	background(t, folder, strings.TrimSpace(commands[0])+" --web.listen-address="+address+" --log.level=error")
	api := "http://" + address
	get(t, request(t, api+"/-/ready"))
	eventually(t, "Prometheus is ready", func() bool {
		code, _ := get(t, request(t, api+"/-/ready"))
		return code == 200
	})
	// The two commands send the same series, so one after the other, as different instances.
	for i, instance := range []string{"one", "two"} {
		label := " --send-label instance=" + instance
		replace := []string{"http://prometheus.example:9090", api, "/dev/shm/shop", dir}
		command := strings.TrimSpace(commands[1+i])
		if i == 0 {
			replace = append(replace, "127.0.0.1:9090", freeAddress(t), "/var/lib/shop/queue", filepath.Join(folder, "queue"))
			command += " --send-every 1s"
		} else {
			replace = append(replace, "15s", "1s")
			label = " --label instance=" + instance
		}
		stop := background(t, folder, command+label, replace...)
		expr := strings.Replace(strings.TrimSpace(queries[0]), `job="shop"`, `job="shop",instance="`+instance+`"`, 1)
		eventually(t, expr+" has an answer", func() bool {
			rate, ok := query(t, api, expr)
			return ok && rate > 0
		})
		stop()
	}
}

// TestCommandsOfClientPython runs what docs/client_python.md says to try on a directory.
func TestCommandsOfClientPython(t *testing.T) {
	var tried int
	for _, block := range doctest.MarkdownBlocks(t, "../docs/client_python.md", "sh") {
		switch {
		case strings.HasPrefix(block, "mpctl writer python > "):
			folder := t.TempDir()
			shell(t, folder, block)
			shell(t, folder, python+" -c 'import multiprom_client'")
			tried++
		case strings.HasPrefix(block, "mpctl dump --dir"):
			t.Setenv("PROMETHEUS_MULTIPROC_DIR", mergedJobs(t))
			out := shell(t, "", block)
			for _, says := range []string{"\njobs_total{queue=\"a b/c\"} 7\n", "2 processes", "archive        1 series"} {
				require.Contains(t, out, says)
			}
			tried++
		}
	}
	require.Equal(t, 2, tried)
}

// TestCommandsOfConformance runs the commands of docs/format/conformance/README.md on the
// directory of a process that lives.
func TestCommandsOfConformance(t *testing.T) {
	const folder = "../docs/format/conformance"
	blocks := doctest.MarkdownBlocks(t, folder+"/README.md", "sh")
	require.Len(t, blocks, 1)
	dir := t.TempDir()
	startShop(t, dir, "4711")
	out := shell(t, folder, blocks[0], "DIR", dir)
	require.Contains(t, out, `"http_requests"`)
	require.Contains(t, out, "\nhttp_requests_total{code=\"200\"} ")
}
