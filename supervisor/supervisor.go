package supervisor

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"net"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/gather"
	"github.com/multiprom/multiprom/internal/record"
)

// Errors of a wrong use.
var (
	errNotRunning = errors.New("supervisor: not running") // not begun, or already ending
	errRunTwice   = errors.New("supervisor: already used")
)

// Errors of a running supervisor; match them with errors.Is.
var (
	// ErrNotDrained says that workers had to be killed at the end of Run.
	ErrNotDrained = errors.New("supervisor: workers were killed before they drained")
	// ErrNotReady says that a replacement died or did not report ready in time. The
	// slot keeps its worker.
	ErrNotReady = errors.New("supervisor: replacement did not become ready")
)

// Supervisor keeps Options.Workers processes running. All methods are safe
// for concurrent use.
type Supervisor struct {
	opt     Options // never changes after New
	slots   []*slot
	addrs   []net.Addr
	metrics net.Listener // nil without metrics

	id        string        // of this supervisor, in the environment of its workers
	stop      chan struct{} // closed once when Run begins to end
	killed    chan struct{} // closed by Kill
	killOnce  sync.Once
	reload    chan struct{}  // holds a token while Reload works
	wg        sync.WaitGroup // slots, and what they started
	launch    func(processSpec) (process, error)
	null      *os.File              // the workers' stdin
	compactor *aggregate.Compactor  // nil if nothing is compacted
	view      *aggregate.Aggregator // of Dir; nil if nothing needs it
	merged    gather.Gatherer       // the view, and the exits' own metrics
	recorder  atomic.Pointer[record.Recorder]

	mu   sync.Mutex // guards what follows
	used bool       // Run or Close was called
	live map[*worker]struct{}

	// sockMu is held for reading while descriptors are passed to a child, so that none
	// is closed, and its number reused, during a start.
	sockMu  sync.RWMutex
	sockets []*socket
	closed  bool
}

// New checks the options, creates the directory and opens the listeners. It starts
// nothing: Run does. It sets PROMETHEUS_MULTIPROC_DIR of this process to Options.Dir,
// so that registry.Default shows the workers here. If this process has already counted
// elsewhere, the error matches multiproc.ErrTooLate. On Windows, where processes cannot
// inherit sockets, it fails with errors.ErrUnsupported.
func New(options Options) (*Supervisor, error) {
	if err := checkPlatform(options); err != nil {
		return nil, err
	}
	opt, err := options.withDefaults()
	if err != nil {
		return nil, err
	}
	if opt.random == nil {
		opt.random = mathrand.Float64
	}
	s := &Supervisor{
		opt:    opt,
		id:     rand.Text(),
		stop:   make(chan struct{}),
		killed: make(chan struct{}),
		reload: make(chan struct{}, 1),
		live:   make(map[*worker]struct{}),
		launch: opt.start,
	}
	if opt.Dir != "" && !opt.NoCompact {
		if s.compactor, err = aggregate.NewCompactor(opt.Dir, opt.Compact); err != nil {
			return nil, fmt.Errorf("supervisor: %w", err)
		}
	}
	for i := range opt.Workers {
		s.slots = append(s.slots, newSlot(s, i))
	}
	if err := s.openView(); err != nil {
		return nil, err
	}
	for i, l := range opt.Listeners {
		// Programs that are not written in Go expect blocking sockets, as systemd
		// passes them. Go programs must never see the mode change during an accept.
		sock, err := openSocket(l, i, !opt.SignalsReady)
		if err != nil {
			s.release()
			return nil, fmt.Errorf("supervisor: Listeners[%d]: %w", i, err)
		}
		s.sockets = append(s.sockets, sock)
		s.addrs = append(s.addrs, sock.addr)
	}
	if opt.MetricsAddress != "" {
		if s.metrics, err = openAddress(opt.MetricsAddress); err != nil {
			s.release()
			return nil, fmt.Errorf("supervisor: MetricsAddress: %w", err)
		}
	}
	if err := settleDefaultSet(opt.Dir); err != nil {
		s.release()
		return nil, err
	}
	return s, nil
}

// Run starts the workers and keeps them running until ctx ends. Then it closes its
// listeners, sends SIGTERM to each worker and SIGKILL after DrainTimeout
// (Options.KillMode says to which processes), and waits until all are gone. It returns
// nil, ErrNotDrained or ErrSurvivors. A failing metrics server also ends it. Run works
// once.
func (s *Supervisor) Run(ctx context.Context) error {
	if !s.use() {
		return errRunTwice
	}
	defer s.release()
	if err := s.prepareDir(ctx); err != nil {
		return err
	}
	stopRecorder, err := s.startRecorder()
	if err != nil {
		return err
	}
	defer stopRecorder()
	defer s.startCompactor()()
	warnOfDir(s.opt.Logger, s.opt.Dir)
	if s.launch == nil {
		l, err := newLauncher(s.opt.reaps(), s.opt.Subreaper)
		if err != nil {
			return err
		}
		defer l.close()
		s.launch = l.start
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return fmt.Errorf("supervisor: %w", err)
	}
	defer null.Close()
	s.null = null

	failed := make(chan error, 1)
	if s.metrics != nil {
		srv := s.metricsServer()
		go func() { failed <- srv.Serve(s.metrics) }()
		defer srv.Close() // last, so that the drain can be watched
	}
	defer s.startExits()()
	for _, sl := range s.slots {
		s.wg.Go(sl.run)
	}
	var result error
	select {
	case <-ctx.Done():
	case <-s.killed:
	case err := <-failed:
		result = fmt.Errorf("supervisor: metrics: %w", err)
	}
	s.opt.Logger.Info("draining", "timeout", s.opt.DrainTimeout)
	s.shut() // from now on connections are refused instead of left waiting
	s.wg.Wait()
	result = errors.Join(result, s.reportSurvivors())
	for _, sl := range s.slots {
		if sl.forced {
			return errors.Join(result, ErrNotDrained)
		}
	}
	return result
}

// Kill ends Run at once: it sends SIGKILL to every worker, also during a drain.
func (s *Supervisor) Kill() { s.killOnce.Do(func() { close(s.killed) }) }

// Close releases what New opened. Only a supervisor that never runs needs it.
func (s *Supervisor) Close() error {
	if !s.use() {
		return errRunTwice
	}
	s.release()
	return nil
}

// Reload replaces the workers, one slot after the other. It starts the replacement,
// waits until that is ready, and drains the old worker before the next slot's turn. It
// stops at the first slot that fails, whose worker keeps serving. When ctx ends, Reload
// stops waiting, but a replacement in progress is completed. Concurrent calls run one
// after the other.
func (s *Supervisor) Reload(ctx context.Context) error {
	select {
	case s.reload <- struct{}{}:
		defer func() { <-s.reload }()
	case <-ctx.Done():
		return ctx.Err()
	}
	s.mu.Lock()
	used := s.used
	s.mu.Unlock()
	if !used {
		return errNotRunning
	}
	for _, sl := range s.slots {
		if err := sl.reload(ctx); err != nil {
			return fmt.Errorf("slot %d: %w", sl.index, err)
		}
	}
	return nil
}

// Workers returns the processes that run now, by slot. A slot in backoff has none, and
// one in a reload has two.
func (s *Supervisor) Workers() []WorkerInfo {
	s.mu.Lock()
	infos := make([]WorkerInfo, 0, len(s.live))
	for w := range s.live {
		infos = append(infos, w.snapshot())
	}
	s.mu.Unlock()
	slices.SortFunc(infos, compareInfo)
	return infos
}

// Addrs returns the listeners' addresses in the order of Options.Listeners,
// with the ports that the system chose.
func (s *Supervisor) Addrs() []net.Addr { return slices.Clone(s.addrs) }

// MetricsAddr returns the address where metrics are served, or nil without
// MetricsAddress.
func (s *Supervisor) MetricsAddr() net.Addr {
	if s.metrics == nil {
		return nil
	}
	return s.metrics.Addr()
}

// use claims s, which can be used once.
func (s *Supervisor) use() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := !s.used
	s.used = true
	return first
}

func (s *Supervisor) release() {
	s.shut()
	if s.metrics != nil {
		s.metrics.Close()
	}
	if s.view != nil {
		s.view.Close()
	}
}

// shut lets no further worker start and closes the listeners, once.
func (s *Supervisor) shut() {
	s.sockMu.Lock()
	defer s.sockMu.Unlock()
	if s.closed {
		return
	}
	s.closed = true
	close(s.stop)
	for _, sock := range s.sockets {
		sock.close()
	}
}

// startWorker starts a worker that has restarts predecessors in its slot. Only the
// goroutine of a slot calls it, so the wait group never grows from zero.
func (s *Supervisor) startWorker(slot, restarts int) (*worker, error) {
	w, err := s.spawn(slot, restarts)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.live[w] = struct{}{}
	s.mu.Unlock()
	w.log.Info("worker started")
	if s.opt.OnWorkerStart != nil {
		s.opt.OnWorkerStart(w.snapshot())
	}
	s.wg.Go(func() { s.watch(w) }) // after the start hook, which must come before the exit hook
	return w, nil
}

func (s *Supervisor) spawn(slot, restarts int) (*worker, error) {
	s.sockMu.RLock()
	defer s.sockMu.RUnlock()
	if s.closed {
		return nil, errNotRunning
	}
	s.opt.restoreDir()
	spec := processSpec{
		path:        s.opt.Command,
		argv:        slices.Concat([]string{s.opt.Command}, s.opt.Args),
		fds:         []uintptr{s.null.Fd(), s.opt.Stdout.Fd(), s.opt.Stderr.Fd()},
		deathSignal: s.opt.DeathSignal,
	}
	if shim := s.opt.ShimCommand; len(shim) > 0 {
		spec.path, spec.argv = shim[0], slices.Concat(shim, spec.argv)
	}
	var names []string
	for _, sock := range s.sockets {
		spec.fds = append(spec.fds, uintptr(sock.fd))
		names = append(names, sock.name)
	}
	w := &worker{
		ready: make(chan struct{}),
		done:  make(chan struct{}),
		gone:  make(chan struct{}),
		info:  WorkerInfo{Slot: slot, Restarts: restarts, Started: time.Now()},
	}
	linkFD := 0
	if s.opt.SignalsReady {
		ours, theirs, err := newLink()
		if err != nil {
			return nil, fmt.Errorf("supervisor: link: %w", err)
		}
		defer closeFD(theirs)
		w.link, linkFD = ours, len(spec.fds)
		spec.fds = append(spec.fds, uintptr(theirs))
	}
	spec.env = workerEnv(s.opt.Env, s.id, slot, s.opt.ProcessIDBySlot, names, s.opt.Dir, linkFD, s.opt.DrainTimeout, len(s.opt.ShimCommand) > 0)
	proc, err := s.launch(spec)
	runtime.KeepAlive(s.opt.Stdout)
	runtime.KeepAlive(s.opt.Stderr)
	if err != nil {
		if w.link != nil {
			w.link.Close()
		}
		return nil, fmt.Errorf("supervisor: start %s: %w", spec.path, err)
	}
	w.proc, w.info.PID = proc, proc.PID()
	w.log = s.opt.Logger.With("slot", slot, "pid", proc.PID())
	return w, nil
}

// watch follows w to its end.
func (s *Supervisor) watch(w *worker) {
	if w.link != nil {
		go w.readLink() // ends when the link is closed, at the latest below
	} else {
		defer time.AfterFunc(s.opt.ReadyAfter, w.becomeReady).Stop()
	}
	status := w.proc.Wait()
	if w.link != nil {
		w.link.Close()
	}
	w.mu.Lock()
	w.age = time.Since(w.info.Started)
	asked := w.info.State == Draining
	w.info.State, w.info.ExitStatus = Exited, status
	info := w.info
	w.mu.Unlock()
	s.wg.Go(func() {
		w.forced = s.clear(w)
		<-w.done
		close(w.gone)
	})
	s.mu.Lock()
	delete(s.live, w)
	s.mu.Unlock()
	level := slog.LevelWarn
	if asked {
		level = slog.LevelInfo
	}
	w.log.Log(context.Background(), level, "worker exited", "status", status.String(), "age", w.age)
	if s.compactor != nil {
		s.compactor.Died()
	}
	if s.opt.OnWorkerExit != nil {
		s.opt.OnWorkerExit(info)
	}
	close(w.done)
}

// retire ends w with SIGTERM, or with SIGKILL if that takes too long or Kill was
// called, and reports whether it took SIGKILL. It returns once the worker's process
// group has ended, as far as Options.KillMode asks for that.
func (s *Supervisor) retire(w *worker) (forced bool) {
	w.mu.Lock()
	w.info.State = max(w.info.State, Draining)
	w.drainBy = time.Now().Add(s.opt.DrainTimeout)
	w.mu.Unlock()
	s.terminate(w)
	timeout := time.NewTimer(s.opt.DrainTimeout)
	defer timeout.Stop()
	select {
	case <-w.done:
	case <-timeout.C:
		forced = true
	case <-s.killed:
		forced = true
	}
	if forced {
		w.log.Warn("killing worker")
		s.kill(w)
	}
	<-w.gone
	return forced || w.forced
}
