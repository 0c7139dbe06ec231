package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/multiprom/multiprom/internal/listen"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/supervisor"
)

func newRun() *cobra.Command {
	var dir, metrics string
	var addresses []string
	var opts supervisor.Options
	var subreaper bool
	var onStart, killMode, processID string
	var trust trustFlag
	var dirMode, fileMode modeFlag
	var send deliveryFlags
	cmd := &cobra.Command{
		Use:   "run [flags] -- CMD [ARG...]",
		Short: "run any program as prefork workers",
		Long: `Start N workers of a program in any language, restart those that die, and serve
their merged /metrics. Dead workers' files are compacted into the archive.

Sockets named with --listen are opened once and passed to the workers by
systemd's LISTEN_FDS protocol. Sockets that systemd passed to mpctl are passed
on with their names.

Each worker gets its slot in MULTIPROM_WORKER_SLOT and the directory in
PROMETHEUS_MULTIPROC_DIR. With --process-id slot, the label pid is the slot
instead of the PID, so that series survive restarts. While a reload has two
workers in a slot, the label of the younger one has a suffix.

SIGTERM and SIGINT drain: workers are asked to end, and are killed after
--drain. A second signal, at least a second later, kills at once. SIGHUP
replaces the workers one by one. --kill-mode says which processes are asked to
end:
  mixed    the worker, then what it leaves of its process group
  group    the whole process group at once
  process  the worker only

The exit code is 0 after a drain. It is 2 if a process had to be killed, or if a
process that a worker started lives on outside of the worker's process group.

With --group, mpctl serve can run as another user in that group. The directory
is created with mode 2770, which gives new files its group, and files with 0640.
If workers change their user, name it with --trust-uid.`,
		Example: "  mpctl run -n 4 --listen tcp://127.0.0.1:8080 --metrics 127.0.0.1:9090 \\\n    --dir /dev/shm/app -- ./server",
		Args:    needsSome("CMD"),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := resolveDir(dir)
			if err != nil {
				return err
			}
			if err := opts.OnStart.UnmarshalText([]byte(onStart)); err != nil {
				return err
			}
			if err := opts.KillMode.UnmarshalText([]byte(killMode)); err != nil {
				return err
			}
			survivePipe()
			opts.ProcessIDBySlot = processID == "slot"
			opts.Compact.TrustUIDs = trust
			log := newLog(cmd)
			opts.Dir, opts.Command, opts.Args, opts.Logger = d, args[0], args[1:], log
			if opts.Listeners, err = supervisor.NamedListeners(); err != nil { // systemd's socket activation
				return err
			}
			for _, address := range addresses {
				opts.Listeners = append(opts.Listeners, supervisor.Listener{Address: address})
			}
			opts.MetricsAddress = metrics
			opts.Subreaper = subreaper
			opts.DirMode, opts.FileMode = dirMode.mode, fileMode.mode
			exits, err := send.exits(cmd, d)
			if err != nil {
				return err
			}
			for _, e := range exits {
				opts.Exits = append(opts.Exits, e)
			}
			s, err := supervisor.New(opts)
			if err != nil {
				return err
			}
			for _, addr := range s.Addrs() {
				fmt.Fprintf(cmd.ErrOrStderr(), "listening on %s\n", addr)
			}
			if addr := s.MetricsAddr(); addr != nil {
				fmt.Fprintf(cmd.ErrOrStderr(), "merged metrics on %s\n", listen.URL(addr, "http", "/metrics"))
				warnOfPublic(log, addr, "name an interface by --metrics")
			}
			return s.RunWithSignals(cmd.Context())
		},
	}
	addDirFlag(cmd, &dir)
	cmd.Flags().StringVar(&onStart, "on-start", "compact", "what to do with the metrics of an earlier run: compact, wipe, or refuse to start")
	addCompactorFlags(cmd, &opts.Compact, &opts.NoCompact)
	trust.add(cmd)
	dirMode.parse, fileMode.parse = parseDirMode, mpm.ParseFileMode
	cmd.Flags().StringVar(&opts.Group, "group", "", "group of the directory, by name or number, if run creates it")
	cmd.Flags().Var(&dirMode, "dir-mode", "mode of the directory if run creates it (default 0700, with --group 2770)")
	cmd.Flags().Var(&fileMode, "file-mode", "mode of the workers' files, passed in MULTIPROM_FILE_MODE (default 0600, with --group 0640)")
	cmd.Flags().IntVarP(&opts.Workers, "workers", "n", 0, "number of workers (default one per CPU)")
	cmd.Flags().StringArrayVar(&addresses, "listen", nil, "socket for the workers, tcp://HOST:PORT or unix:///PATH; may be repeated")
	cmd.Flags().StringVar(&metrics, "metrics", "", "serve the merged /metrics on this address")
	cmd.Flags().DurationVar(&opts.Record, "record", 0, "record this many minutes for mpctl replay, such as 10m (default none)")
	obey(cmd, longerThanZero("; leave it out to record nothing"), "record")
	cmd.Flags().BoolVar(&opts.MetricsLenient, "metrics-lenient", false, "also serve values that OpenMetrics forbids, such as a negative sum, for OpenTelemetry's collector")
	cmd.Flags().DurationVar(&opts.DrainTimeout, "drain", 30*time.Second, "time between SIGTERM and SIGKILL")
	cmd.Flags().StringVar(&killMode, "kill-mode", "mixed", "which processes a drain asks to end: mixed, group or process")
	cmd.Flags().StringVar(&processID, "process-id", "pid", "value of the label pid: pid, or slot, which survives restarts")
	obeyWords(cmd, "process-id", "pid", "slot")
	send.addExits(cmd)
	cmd.Flags().BoolVar(&subreaper, "subreaper", false, "adopt and reap the workers' orphans")
	obeyWords(cmd, "on-start", "compact", "wipe", "refuse")
	obeyWords(cmd, "kill-mode", "mixed", "group", "process")
	obey(cmd, group, "group")
	obey(cmd, atLeast(1, "; leave it out for one per CPU"), "workers")
	obey(cmd, address("tcp", "tcp4", "tcp6", "unix"), "listen", "metrics")
	obey(cmd, longerThanZero("; 1ms kills at once"), "drain")
	return cmd
}

// pids returns the processes of a supervisor's workers.
func pids(s *supervisor.Supervisor) (out []int) {
	for _, w := range s.Workers() {
		out = append(out, w.PID)
	}
	return out
}
