package released

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/doctest"
)

const root = "../../.."

// forge is a Git repository that the go command takes for the one on the forge. It has this
// checkout, tagged as docs/releasing.md says.
type forge struct {
	t       *testing.T
	folder  string
	version string
	env     []string
}

// newForge copies the files of the checkout, as they are, and runs the commands of the page
// on the copy, except that nothing signs the tags.
func newForge(t *testing.T) *forge {
	t.Helper()
	if os.Getenv("MULTIPROM_INTEGRATION") == "" {
		t.Skip("it compiles everything again, which takes minutes; set MULTIPROM_INTEGRATION=1")
	}
	f := &forge{t: t, folder: t.TempDir()}
	requires, err := os.ReadFile(root + "/compat/go.mod")
	require.NoError(t, err)
	f.version = string(regexp.MustCompile(`(?m)^\tgithub.com/multiprom/multiprom (v\S+)$`).FindSubmatch(requires)[1])

	modules := strings.TrimSpace(f.run(root, "go env GOMODCACHE"))
	proxies := strings.TrimSpace(f.run(root, "go env GOPROXY"))
	flags := strings.TrimSpace(f.run(root, "go env GOFLAGS"))
	origin, work := filepath.Join(f.folder, "origin"), filepath.Join(f.folder, "work")
	f.env = append(os.Environ(),
		"GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_COUNT=4",
		"GIT_CONFIG_KEY_0=url.file://"+origin+".insteadOf", "GIT_CONFIG_VALUE_0=https://github.com/multiprom/multiprom",
		"GIT_CONFIG_KEY_1=user.name", "GIT_CONFIG_VALUE_1=Test", "GIT_CONFIG_KEY_2=user.email", "GIT_CONFIG_VALUE_2=test@example.com",
		"GIT_CONFIG_KEY_3=init.defaultBranch", "GIT_CONFIG_VALUE_3=main",
		"GOPRIVATE=github.com/multiprom/*", "GOPROXY=file://"+modules+"/cache/download,"+proxies,
		"GOMODCACHE="+filepath.Join(f.folder, "modules"), "GOFLAGS="+flags+" -modcacherw", "GOBIN="+filepath.Join(f.folder, "bin"), "GOWORK=off",
		"PATH="+filepath.Join(f.folder, "bin")+":"+os.Getenv("PATH"))
	f.run(root, "git init -q --bare "+origin+" && git init -q "+work+
		" && git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents --no-dereference -t "+work)
	f.run(work, "git remote add origin https://github.com/multiprom/multiprom && git add -A && git commit -q -m release && git push -q origin main")
	tags := doctest.MarkdownBlocks(t, root+"/docs/releasing.md", "sh")
	require.Len(t, tags, 1)
	f.run(work, strings.NewReplacer("git tag -s", "git tag -a", "vX.Y.Z", f.version).Replace(tags[0]))
	return f
}

// run runs commands in a folder and returns what they print.
func (f *forge) run(folder, commands string) string {
	f.t.Helper()
	cmd := exec.Command("sh", "-e", "-c", commands)
	cmd.Dir, cmd.Env = folder, f.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // what still runs in the background ends with the test
	stdout, err := os.Create(filepath.Join(f.t.TempDir(), "stdout"))
	require.NoError(f.t, err)
	defer stdout.Close()
	cmd.Stdout = stdout // a file: what runs in the background keeps a pipe open
	errors, err := os.Create(filepath.Join(f.t.TempDir(), "stderr"))
	require.NoError(f.t, err)
	defer errors.Close()
	cmd.Stderr = errors
	require.NoError(f.t, cmd.Start())
	f.t.Cleanup(func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) })
	err = cmd.Wait()
	said, readErr := os.ReadFile(stdout.Name())
	require.NoError(f.t, readErr)
	complaint, readErr := os.ReadFile(errors.Name())
	require.NoError(f.t, readErr)
	require.NoError(f.t, err, "%s\n%s%s", commands, said, complaint)
	return string(said)
}

// module makes a module of that name with one file, without replace.
func (f *forge) module(name, source string) (folder string) {
	f.t.Helper()
	folder = filepath.Join(f.folder, name)
	require.NoError(f.t, os.Mkdir(folder, 0o700))
	require.NoError(f.t, os.WriteFile(filepath.Join(folder, "main.go"), []byte(source), 0o600))
	return folder
}

// TestReleased is what a user does on the day of the release, in modules of their own: the
// README's program with the README's commands, the command by go install, and a program that
// imports what the nested module has.
func TestReleased(t *testing.T) {
	f := newForge(t)

	t.Run("README", func(t *testing.T) {
		web, metrics := freeAddress(t), freeAddress(t)
		own := strings.NewReplacer("127.0.0.1:8080", web, "127.0.0.1:9090", metrics, "/dev/shm/hello", filepath.Join(t.TempDir(), "hello"))
		f := &forge{t: t, folder: f.folder, env: f.env}
		folder := f.module("hello", own.Replace(doctest.MarkdownBlocks(t, root+"/README.md", "go")[0]))
		blocks := doctest.MarkdownBlocks(t, root+"/README.md", "sh")
		start := slices.IndexFunc(blocks, func(b string) bool { return strings.HasPrefix(b, "go mod init hello\n") })
		require.GreaterOrEqual(t, start, 0)
		commands := strings.ReplaceAll(own.Replace(blocks[start]), "--retry 9", "--retry 120 --retry-delay 1") // the machine may be busy
		require.Equal(t, "hello\nhttp_requests_total{code=\"200\",method=\"GET\"} 1\n",
			regexp.MustCompile(`(?m)^#.*\n`).ReplaceAllString(f.run(folder, commands), ""))
		gomod, err := os.ReadFile(filepath.Join(folder, "go.mod"))
		require.NoError(t, err)
		require.NotContains(t, string(gomod), "replace")
	})

	t.Run("go install", func(t *testing.T) {
		f := &forge{t: t, folder: f.folder, version: f.version, env: f.env}
		readme, err := os.ReadFile(root + "/README.md")
		require.NoError(t, err)
		const install = "go install github.com/multiprom/multiprom/cmd/mpctl@latest"
		require.Contains(t, string(readme), "`"+install+"`")
		require.Contains(t, f.run(f.folder, install+"\nmpctl version"), "mpctl "+f.version)
	})

	t.Run("compat", func(t *testing.T) {
		f := &forge{t: t, folder: f.folder, version: f.version, env: f.env}
		folder := f.module("migrated", `package main

import (
	"fmt"

	_ "github.com/multiprom/multiprom/bridge/graphite"
	_ "github.com/multiprom/multiprom/bridge/otlp"
	_ "github.com/multiprom/multiprom/bridge/pushgateway"
	_ "github.com/multiprom/multiprom/bridge/remotewrite"
	_ "github.com/multiprom/multiprom/bridge/textfile"
	_ "github.com/multiprom/multiprom/compat/convert"
	_ "github.com/multiprom/multiprom/compat/fasthttp"
	_ "github.com/multiprom/multiprom/compat/fiber/v2"
	_ "github.com/multiprom/multiprom/compat/fiber/v3"
	prometheus "github.com/multiprom/multiprom/compat/prom"
	"github.com/multiprom/multiprom/compat/prom/promauto"
	"github.com/multiprom/multiprom/compat/prom/promhttp"
	_ "github.com/multiprom/multiprom/compat/publish"
)

func main() {
	promauto.NewCounter(prometheus.CounterOpts{Name: "jobs_total", Help: "Jobs."}).Inc()
	families, err := prometheus.DefaultGatherer.Gather()
	if err != nil {
		panic(err)
	}
	for _, f := range families {
		if f.GetName() == "jobs_total" {
			fmt.Println(f.GetMetric()[0].GetCounter().GetValue(), promhttp.Handler() != nil)
		}
	}
}
`)
		f.run(folder, "go mod init migrated && go get github.com/multiprom/multiprom/compat@"+f.version+" && go mod tidy")
		list := f.run(folder, "go list -m -f '{{.Path}} {{.Version}} {{.Replace}}' all")
		for _, module := range []string{"", "/compat"} {
			require.Contains(t, list, "github.com/multiprom/multiprom"+module+" "+f.version+" <nil>\n")
		}
		dir := t.TempDir()
		f.run(folder, "go build -o migrated .")
		for _, sum := range []string{"1 true\n", "2 true\n"} {
			require.Equal(t, sum, f.run(folder, "PROMETHEUS_MULTIPROC_DIR="+dir+" ./migrated"))
		}
	})
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}
