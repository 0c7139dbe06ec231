//go:build unix

package supervisor

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// envRole turns the test binary into a helper process.
const envRole = "SUPERVISOR_TEST_ROLE"

// roles are the helpers. TestMain fills it, because they refer to themselves.
var roles map[string]func()

// usedRoles makes sure that no helper is unused.
var usedRoles = struct {
	sync.Mutex
	set map[string]bool
}{set: map[string]bool{}}

func TestMain(m *testing.M) {
	MaybeShim()
	roles = map[string]func(){
		"server": roleServer, "deaf": roleDeaf, "silent": roleSilent, "crash": roleCrash,
		"report": roleReport, "counter": roleCounter, "supervisor": roleSupervisor, "init": roleInit, "toolate": roleTooLate,
	}
	if name := os.Getenv(envRole); name != "" {
		role, ok := roles[name]
		if !ok {
			fmt.Fprintf(os.Stderr, "unknown helper role %q\n", name)
			os.Exit(99)
		}
		role()
		os.Exit(0)
	}
	code := m.Run()
	whole := flag.Lookup("test.run").Value.String() == "" && flag.Lookup("test.skip").Value.String() == "" &&
		flag.Lookup("test.list").Value.String() == ""
	if code == 0 && whole && runtime.GOOS == "linux" {
		for name := range roles {
			if !usedRoles.set[name] {
				fmt.Fprintf(os.Stderr, "helper role %q is unused\n", name)
				code = 1
			}
		}
	}
	os.Exit(code)
}

// roleEnv returns the environment of a helper.
func roleEnv(t *testing.T, role string, more ...string) []string {
	t.Helper()
	require.Contains(t, roles, role)
	usedRoles.Lock()
	usedRoles.set[role] = true
	usedRoles.Unlock()
	return slices.Concat(os.Environ(), []string{envRole + "=" + role}, more)
}

func must[T any](v T, err error) T {
	check(err)
	return v
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(98)
	}
}

// roleServer answers HTTP until SIGTERM. /hold answers once the file in the query
// exists.
func roleServer() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	ls := must(Listeners())
	slot, _ := Slot()
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "%d %d", slot, os.Getpid())
	})
	mux.HandleFunc("/hold", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "begun\n")
		w.(http.Flusher).Flush()
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for range tick.C {
			if _, err := os.Stat(r.FormValue("file")); err == nil {
				break
			}
		}
		io.WriteString(w, "done\n")
	})
	srv := &http.Server{Handler: mux}
	go srv.Serve(ls[0])
	check(Ready())
	<-ctx.Done()
	check(srv.Shutdown(context.Background()))
}

// roleDeaf is ready but ignores SIGTERM.
func roleDeaf() {
	signal.Ignore(syscall.SIGTERM)
	must(Listeners())
	check(Ready())
	select {}
}

// roleSilent serves once. If the file in SILENT exists, it is never ready.
func roleSilent() {
	if _, err := os.Stat(os.Getenv("SILENT")); err != nil {
		roleServer()
		return
	}
	signal.Reset(syscall.SIGTERM)
	select {}
}

// roleCounter counts one in the directory, if it can, and keeps running.
func roleCounter() {
	if s, err := mpm.Create(os.Getenv(envDir), mpm.Options{}); err == nil {
		f := must(s.AddSchema(&metric.Schema{Name: "earlier", Help: "E.", Type: metric.Counter}))
		must(s.AddSeries(f, nil, nil)).Words()[mpm.CellCounterInts] = 1
	}
	check(Ready())
	select {}
}

func roleCrash() { os.Exit(3) }

// report is what a worker finds in its environment.
type report struct {
	PID, ListenPID, Slot int
	Worker               bool
	FDs                  []int
	Names, Dir           string
	Named                []string // by NamedListeners
	NamedErr             string
	Args                 []string
	Listeners            int
	Addr                 string
	LeftEnv              []string // of the protocol, after Listeners
	Inheritable          []int    // from 3 on, after Listeners
}

func roleReport() {
	r := report{PID: os.Getpid(), Args: os.Args[1:], Names: os.Getenv(envListenName), Dir: os.Getenv(envDir)}
	r.ListenPID, _ = strconv.Atoi(os.Getenv(envListenPID))
	r.Slot, r.Worker = Slot()
	r.FDs = openFDs()
	ls := must(Listeners())
	r.Listeners = len(ls)
	if len(ls) > 0 {
		r.Addr = ls[0].Addr().String()
	}
	named, err := NamedListeners()
	if err != nil {
		r.NamedErr = err.Error()
	}
	for i, l := range named {
		if l.Listener != ls[i] {
			check(fmt.Errorf("listener %d is another", i))
		}
		r.Named = append(r.Named, l.Name)
	}
	for _, name := range []string{envListenFDs, envListenPID, envListenID, envListenName, envLinkFD, envDrain, envShim} {
		if _, ok := os.LookupEnv(name); ok {
			r.LeftEnv = append(r.LeftEnv, name)
		}
	}
	for _, fd := range openFDs() {
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); fd >= 3 && err == nil && flags&unix.FD_CLOEXEC == 0 {
			r.Inheritable = append(r.Inheritable, fd)
		}
	}
	check(json.NewEncoder(os.Stdout).Encode(r))
	check(Ready())
	select {}
}

// openFDs lists this process's descriptors, except those of the listing and of Go's
// runtime (poller, CPU limit). It returns nil if /proc does not tell.
func openFDs() []int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return nil
	}
	var fds []int
	for _, e := range entries {
		target, err := os.Readlink("/proc/self/fd/" + e.Name())
		if err != nil || strings.HasPrefix(target, "anon_inode:[event") || strings.HasPrefix(target, "/sys/fs/cgroup/") {
			continue
		}
		fds = append(fds, must(strconv.Atoi(e.Name())))
	}
	slices.Sort(fds)
	return fds
}

// roleSupervisor runs WORKERS workers of WORKER_ROLE with signals. It prints its
// address and then its log.
func roleSupervisor() {
	role := os.Getenv("WORKER_ROLE")
	s := must(New(Options{
		Workers:      2,
		Env:          append(os.Environ(), envRole+"="+role),
		Listeners:    []Listener{{Address: "127.0.0.1:0"}},
		DrainTimeout: must(time.ParseDuration(os.Getenv("DRAIN"))),
		Logger:       slog.New(slog.NewTextHandler(os.Stdout, nil)),
	}))
	fmt.Println("addr", s.Addrs()[0])
	err := s.RunWithSignals(context.Background())
	fmt.Println("ended", err)
}

// roleInit checks that orphans are reaped next to workers, as PID 1 or, with SUBREAPER
// set, as a subreaper. It exits with 0 only if everything is right.
func roleInit() {
	dir := os.Getenv("ORPHANS")
	exits := make(chan WorkerInfo, 16)
	s := must(New(Options{
		Workers: 1,
		Command: "/bin/sh",
		// The subshell ends at once, which makes its child an orphan. The worker itself
		// is replaced by a process that stays.
		Args:         []string{"-c", `(sh -c 'exit 7' & echo $! >"$ORPHANS/$$.tmp"; mv "$ORPHANS/$$.tmp" "$ORPHANS/$$.pid"); exec sleep 1000`},
		Subreaper:    os.Getenv("SUBREAPER") != "",
		ReadyAfter:   time.Millisecond,
		OnWorkerExit: func(w WorkerInfo) { exits <- w },
	}))
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	for range 5 {
		orphan, worker := 0, 0
		for orphan == 0 && ctx.Err() == nil {
			for _, w := range s.Workers() {
				worker = w.PID
				if b, err := os.ReadFile(filepath.Join(dir, strconv.Itoa(w.PID)+".pid")); err == nil {
					orphan = must(strconv.Atoi(strings.TrimSpace(string(b))))
				}
			}
			runtime.Gosched()
		}
		for ctx.Err() == nil && syscall.Kill(orphan, 0) == nil {
			runtime.Gosched()
		}
		check(ctx.Err())
		check(syscall.Kill(worker, syscall.SIGKILL))
		if w := <-exits; w.PID != worker || w.ExitStatus.Signal != syscall.SIGKILL {
			check(fmt.Errorf("exit of %d: %+v", worker, w))
		}
	}
	cancel()
	check(<-ended)
	fmt.Println("all reaped, pid", os.Getpid())
}

// eventually polls; nothing in these tests sleeps.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		require.True(t, time.Now().Before(deadline), "timed out: %s", what)
		<-tick.C
	}
}

// runner is a supervisor that runs in this process.
type runner struct {
	*Supervisor
	cancel context.CancelFunc
	ended  chan error
}

// run starts a supervisor. The end of the test kills what is left.
func run(t *testing.T, o Options) *runner {
	t.Helper()
	if o.Dir != "" {
		t.Setenv(envDir, os.Getenv(envDir)) // New may set it, and the next test is to find it as it was
	}
	s, err := New(o)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	r := &runner{Supervisor: s, cancel: cancel, ended: make(chan error, 1)}
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		r.ended <- s.Run(ctx)
	}()
	t.Cleanup(func() {
		s.Kill()
		cancel()
		<-finished
	})
	return r
}

// wait returns Run's result.
func (r *runner) wait(t *testing.T) error {
	t.Helper()
	select {
	case err := <-r.ended:
		return err
	case <-time.After(20 * time.Second):
		require.Fail(t, "Run does not end")
		return nil
	}
}

// pids returns the process of each slot once all slots serve.
func (r *runner) pids(t *testing.T) map[int]int {
	t.Helper()
	var pids map[int]int
	eventually(t, "all slots serve", func() bool {
		pids = map[int]int{}
		infos := r.Workers()
		for _, w := range infos {
			if w.State == Serving {
				pids[w.Slot] = w.PID
			}
		}
		return len(pids) == len(r.slots) && len(infos) == len(r.slots)
	})
	return maps.Clone(pids)
}

// helper starts a helper process outside any supervisor.
func helper(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			cmd.Process.Kill()
			cmd.Wait()
		}
	})
}
