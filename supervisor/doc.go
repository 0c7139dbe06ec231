// Package supervisor is a prefork supervisor: it opens listeners once, starts
// N worker processes that inherit them, replaces those that die, drains them
// on SIGTERM, exchanges them one by one on SIGHUP, and serves the merged
// /metrics itself, so that no scrape depends on which worker answers it.
//
// The main of a prefork server is supervisor and worker at once. Here the workers
// answer on port 8080, and port 9090 has the sum of what they count:
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
//		own, err := publish.Start(publish.Options{}) // its Go runtime metrics
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
// [Options] say what to run, a [Supervisor] runs it, a [WorkerInfo] describes
// one process. [Listeners], [Ready] and [Slot] are the worker's side. A program
// that supervises foreign commands calls [MaybeShim] at the top of main.
//
// # Metrics
//
// Without Options.Metrics, MetricsAddress serves the merged view of Options.Dir. New
// also sets PROMETHEUS_MULTIPROC_DIR of this process, so that registry.Default here
// shows the workers too: exposition.Handler(registry.Default()) as Options.Metrics
// adds collectors of the supervisor's own. It must not have counted elsewhere
// before: New says so. A metrics address without a directory is an error.
//
// Options.ProcessID says what names a worker in the label pid: its PID, or its slot,
// which survives restarts. docs/lifecycle.md says what a reload shows.
//
// # The directory
//
// At its start the supervisor compacts what an earlier run has left in
// Options.Dir, or wipes it, or refuses to start (Options.OnStart). While it runs
// it compacts the files of workers that have died into the archive, so that the
// directory stays as small as the number of workers (package aggregate).
//
// # What a worker gets
//
// Its slot, 0 to N-1, in [EnvSlot]; a successor has the same. The listeners as
// descriptors 3 and up, by systemd's protocol (LISTEN_FDS, LISTEN_FDNAMES, and
// LISTEN_PID for foreign commands: only a process itself knows its PID, so the
// supervisor's own executable is started as a shim that sets it and becomes the
// command). Workers that call Ready have one more descriptor, a link to the
// supervisor. No other is inherited: all descriptors of the supervisor from 3
// on are marked close-on-exec before each start, because an inherited one would
// keep a dead worker's lock alive. A worker has its own process group,
// and the null device as stdin.
//
// Sockets for foreign commands that do not call Ready start in blocking mode,
// as systemd's do, others in non-blocking mode. The mode is shared by all
// workers.
//
// # When a worker dies
//
// OnWorkerExit is called, then the slot's next worker starts: at once when the
// dead one was older than Backoff.Young or is the first to die younger, after a
// growing delay otherwise. Slots never wait for each other.
//
// # When a worker ends
//
// A drain asks the worker to end, then what it has left of its process group, and
// waits for all of it, unless Options.KillMode says otherwise: a shell that starts the
// server ends at once, the server takes its time. The group of a worker that died by
// itself gets the same signals, while the successor starts already. A process that went
// into a group or session of its own is not signalled. On Linux, Run reports it at the end
// (ErrSurvivors), if it still has MULTIPROM_SUPERVISOR in its environment. To end
// these too takes a control group: systemd's KillMode, or a container.
//
// # When the supervisor dies
//
// Even SIGKILL leaves no worker that holds the port for ever. On Linux the
// kernel sends DeathSignal to every worker; workers that called Ready or
// Listeners also see their link close and exit when DrainTimeout has passed.
// Elsewhere the link alone does both. What remains: a foreign command that
// ignores SIGTERM needs DeathSignal SIGKILL; one that is set-uid loses the
// signal; on darwin foreign commands are told nothing; what workers have started is
// told nothing anywhere.
//
// # PID 1
//
// With PID 1, and on request, one loop owns every wait of the process and
// collects orphans. Then os/exec in the same process loses exit statuses:
// choose [ReapNever] where that matters.
//
// # Concurrency
//
// The methods of Supervisor and the functions of the worker's side are
// safe for concurrent use. Hooks of different workers may overlap.
//
// # Caveats
//
// A worker that dies takes its accepted connections with it; those still in the
// socket's queue go to the others. All workers wait on one queue, so that the
// kernel decides who gets a connection, not always evenly. In a reload two
// workers share a slot until the old one has drained. Linux is the main
// platform; on Windows New fails with errors.ErrUnsupported.
package supervisor
