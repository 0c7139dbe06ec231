// Package supervisor is a prefork supervisor. It opens listeners once, starts N worker
// processes that inherit them, replaces workers that die, drains them on SIGTERM,
// replaces them one by one on SIGHUP, and serves the merged /metrics itself, so that no
// scrape depends on which worker answers it.
//
// The main function of a prefork server is both supervisor and worker. Here the workers
// answer on port 8080, and port 9090 serves the sum of what they count:
//
//	var requests = multiproc.NewCounterVec(multiproc.CounterOpts{
//		Name: "http_requests_total", Help: "HTTP requests served.",
//	}, []string{"method", "code"})
//
//	func main() {
//		if supervisor.IsWorker() {
//			serve()
//			return
//		}
//		s, err := supervisor.New(supervisor.Options{
//			Listeners:      []supervisor.Listener{{Address: "tcp://:8080"}},
//			Dir:            "/run/app/metrics",
//			MetricsAddress: "tcp://:9090",
//		})
//		if err != nil {
//			log.Fatal(err)
//		}
//		if err := s.RunWithSignals(context.Background()); err != nil {
//			log.Fatal(err)
//		}
//	}
//
//	func serve() {
//		listeners, err := supervisor.Listeners()
//		if err != nil {
//			log.Fatal(err)
//		}
//		own, err := publish.Start(publish.Options{}) // of registry/publish: its Go runtime metrics
//		if err != nil {
//			log.Fatal(err)
//		}
//		defer own.Close()
//		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
//		defer stop()
//		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
//			requests.WithLabelValues(r.Method, "200").Inc()
//			io.WriteString(w, "hello\n")
//		})}
//		go srv.Serve(listeners[0])
//		if err := supervisor.Ready(); err != nil {
//			log.Fatal(err)
//		}
//		<-ctx.Done()
//		srv.Shutdown(context.Background())
//	}
//
// # Types
//
// [Options] say what to run, a [Supervisor] runs it, and a [WorkerInfo] describes one
// process. Workers call [Listeners], [Ready] and [Slot]. A program that supervises
// foreign commands calls [MaybeShim] at the top of main.
//
// A worker need not call multiproc.Open: its first update makes its file. A worker
// that should be visible before it counts can call it.
//
// # Metrics
//
// Without Options.Metrics, MetricsAddress serves the merged view of Options.Dir, and at / a
// status page for people (docs/operations.md). A metrics address without a directory is an
// error.
//
// New also sets PROMETHEUS_MULTIPROC_DIR in this process, so that registry.Default
// shows the workers here too. Use exposition.Handler(registry.Default()) as
// Options.Metrics to add collectors of the supervisor itself. This process must not
// have counted anywhere else before, or New fails.
//
// The label pid is the worker's PID or, with Options.ProcessIDBySlot, its slot, which
// survives restarts. docs/lifecycle.md says what a reload shows.
//
// # The directory
//
// At its start the supervisor compacts what an earlier run left in Options.Dir, wipes
// it, or refuses to start (Options.OnStart). While it runs it compacts the files of
// dead workers into the archive, so the directory's size follows the number of workers
// (package aggregate).
//
// # What a worker gets
//
// A worker finds its slot, 0 to N-1, by [Slot]. A successor has the same slot. It
// gets the listeners as descriptors 3 and up, by systemd's protocol: LISTEN_FDS,
// LISTEN_FDNAMES and, for foreign commands, LISTEN_PID. Only a process itself knows its
// PID, so the supervisor's own executable is started as a shim that sets LISTEN_PID and
// then becomes the command. Workers that call Ready have one more descriptor, a link to
// the supervisor.
//
// No other descriptor is inherited. Before each start, all descriptors of the
// supervisor from 3 on are marked close-on-exec, because an inherited one would keep a
// dead worker's lock. A worker has its own process group, and the null device as stdin.
//
// Sockets for foreign commands that do not call Ready start in blocking mode, like
// systemd's. Others start in non-blocking mode. All workers share the mode.
//
// # When a worker dies
//
// OnWorkerExit is called, and then the slot's next worker starts. It starts at once if
// the dead worker was older than Backoff.Young or is the first to die younger.
// Otherwise it starts after a growing delay. Slots never wait for each other.
//
// # When a worker ends
//
// A drain asks the worker to end, then whatever is left of its process group, and waits
// for all of it (Options.KillMode can change that). A shell that started the server
// ends at once; the server takes its time. If a worker dies by itself, its group gets
// the same signals while the successor already starts.
//
// A process that moved to its own group or session gets no signal. On Linux, Run
// reports it at the end (ErrSurvivors) if its environment still has
// MULTIPROM_SUPERVISOR. To end such processes too, use a control group: systemd's
// KillMode, or a container.
//
// # When the supervisor dies
//
// Even after SIGKILL, no worker holds the port forever. On Linux the kernel sends
// DeathSignal to every worker. Workers that called Ready or Listeners also see their
// link close, and exit after DrainTimeout. On other systems the link does both.
//
// The exceptions: a foreign command that ignores SIGTERM needs DeathSignal SIGKILL. A
// set-uid command loses the signal. On darwin, foreign commands are not told. Processes
// that the workers started are not told on any system.
//
// # PID 1
//
// With PID 1, or on request, one loop does all waiting for child processes and reaps
// orphans. os/exec in the same process then loses exit statuses. Set Options.NoReap
// if that matters.
//
// # Concurrency
//
// The methods of Supervisor and the functions for workers are safe for concurrent use.
// Hooks of different workers may overlap.
//
// # Caveats
//
// A worker that dies takes its accepted connections with it. Connections still in the
// socket's queue go to the others. All workers wait on one queue, so the kernel decides
// who gets a connection, not always evenly. During a reload two workers share a slot
// until the old one has drained. Linux is the main platform. On Windows New fails with
// errors.ErrUnsupported.
package supervisor
