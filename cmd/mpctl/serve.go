package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/prometheus/exporter-toolkit/web"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/exposition"
	"github.com/multiprom/multiprom/gather"
	"github.com/multiprom/multiprom/internal/glance"
	"github.com/multiprom/multiprom/internal/limits"
	"github.com/multiprom/multiprom/internal/listen"
	"github.com/multiprom/multiprom/internal/record"
	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/registry"
)

func newServe() *cobra.Command {
	var dir, config string
	var addresses []string
	var compact aggregate.CompactorOptions
	var noCompact bool
	var trust trustFlag
	var limit scrapeLimits
	var send deliveryFlags
	var ttl ttlFlag
	var recording recordFlags
	dirMode := modeFlag{parse: parseDirMode}
	cmd := &cobra.Command{
		Use:   "serve [DIR]",
		Short: "serve the merged /metrics of a directory",
		Long: `Serve the merged metrics of a directory at /metrics until SIGTERM or SIGINT. In
the background, compact the files of dead processes into the archive.

A status page is at /: workers, metrics, and what is wrong. /-/healthy answers
while the server does, and /-/ready answers 503 if the directory cannot be read.

With --record 10m, the last ten minutes are kept in DIR.recording, second by
second, for mpctl replay: also after every process was killed.

Under systemd, a unit of Type=notify has started once the server answers.

For TLS, mutual TLS and basic auth, name a web configuration file of
Prometheus's exporter toolkit.

--ttl hides idle series of programs that cannot be changed: a series whose
values did not change for so long, as far as this process has seen, is hidden
until they do. It is not needed for programs that give their metrics a TTL.

serve reads files of your own user, of root, of the directory's owner, and of
users named by --trust-uid. To read another user's files, make the directory and
the files accessible to a group that both of you are in: see mpctl run --group.`,
		Example: `  mpctl serve /dev/shm/app --web.listen-address 127.0.0.1:9090
  mpctl serve /dev/shm/app --reap-python --ttl http_requests_total=15m`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := resolveDir(dir)
			if err != nil {
				return err
			}
			if dirMode.mode != 0 {
				if err := makeDir(d, dirMode.mode); err != nil {
					return err
				}
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, syscall.SIGINT)
			defer stop()
			survivePipe()
			log := newLog(cmd)
			if !noCompact {
				compact.TrustUIDs, compact.TTL, compact.Logger = trust, ttl, log
				compactor, err := aggregate.NewCompactor(d, compact)
				if err != nil {
					return err
				}
				go compactor.Run(ctx)
			}
			exits, err := send.exits(cmd, d)
			if err != nil {
				return err
			}
			return serve(ctx, d, aggregate.Options{TrustUIDs: trust, TTL: ttl, Logger: log}, limit, recording, addresses, config, exits, shownFlags(cmd), log)
		},
	}
	addDirArg(cmd, &dir)
	addCompactorFlags(cmd, &compact, &noCompact)
	cmd.Flags().StringArrayVar(&addresses, "web.listen-address", []string{":9090"}, "address to listen on, HOST:PORT or unix:///PATH; may be repeated")
	cmd.Flags().StringVar(&config, "web.config.file", "", "web configuration file for TLS and basic auth (see the exporter toolkit's documentation)")
	cmd.Flags().BoolVar(&compact.Python, "reap-python", false, "also compact dead processes' files of client_python; see mpctl gc --help")
	obey(cmd, address("tcp", "tcp4", "tcp6", "unix"), "web.listen-address")
	obey(cmd, existing, "web.config.file")
	cmd.Flags().Var(&dirMode, "dir-mode", "create the directory with this mode if it is missing, for a sidecar that starts first")
	limit.addFlags(cmd)
	recording.addFlags(cmd)
	trust.add(cmd)
	send.addExits(cmd)
	ttl.add(cmd)
	return cmd
}

// serve answers scrapes until ctx ends, then waits for running ones to finish.
func serve(ctx context.Context, dir string, opts aggregate.Options, limit scrapeLimits, recording recordFlags, addresses []string, config string, exits []sender, flags string, log *slog.Logger) (err error) {
	listeners, err := openAll(addresses)
	if err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	if config == "" {
		for _, l := range listeners {
			warnOfPublic(log, l.Addr(), "name an interface by --web.listen-address, or users by --web.config.file")
		}
	}
	a, err := aggregate.Open(dir, opts)
	if err != nil {
		return err
	}
	defer a.Close()
	if os.Getenv("GOGC") == "" {
		// Almost all memory holds what is known about the files. It stays, and a scrape
		// makes little garbage. Next to a fleet of workers, memory matters more than CPU.
		debug.SetGCPercent(50)
	}
	warnOfDir(log, dir)
	recorder, stopRecording, err := recording.start(ctx, dir, a, log)
	if err != nil {
		return err
	}
	defer stopRecording()
	g := registry.Directory(a)
	for _, s := range exits {
		g = registry.Merge(g, s)
	}
	sending, stop := context.WithCancel(ctx)
	wait := runExits(sending, exits, g)
	defer func() {
		stop()
		err = errors.Join(err, wait())
	}()
	server := newServer(g, newSite(a, recorder, flags), limit, log)
	served := make(chan error, 1)
	go func() {
		served <- web.ServeMultiple(listeners, server, &web.FlagConfig{WebConfigFile: &config}, log)
	}()
	tellSystemd(log, daemon.SdNotifyReady)
	select {
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	tellSystemd(log, daemon.SdNotifyStopping)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: shut down: %w", err)
	}
	return nil
}

// makeDir makes a directory with this mode, whatever the umask is. One that exists stays
// as it is.
func makeDir(dir string, mode fs.FileMode) error {
	err := os.Mkdir(dir, 0o700) // nobody else may enter before the mode is set
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err == nil {
		err = os.Chmod(dir, mode)
	}
	return err
}

// tellSystemd tells systemd the state of a unit with Type=notify. Without systemd it does
// nothing.
func tellSystemd(log *slog.Logger, state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		log.Warn("systemd was not told: "+err.Error(), "state", state)
	}
}

// openAll listens on all addresses, or on none.
func openAll(addresses []string) (listeners []net.Listener, err error) {
	defer func() {
		if err != nil {
			for _, l := range listeners {
				l.Close()
			}
		}
	}()
	for _, address := range addresses {
		l, err := listen.Open(address)
		if err != nil {
			return listeners, fmt.Errorf("--web.listen-address %s: %w", address, err)
		}
		listeners = append(listeners, l)
	}
	return listeners, nil
}

// newSite returns the status page and the probes of a directory. recorder may be nil.
func newSite(a *aggregate.Aggregator, recorder *record.Recorder, flags string) *glance.Site {
	opts := glance.SiteOptions{Version: buildVersion().Version}
	if flags != "" {
		opts.Facts = append(opts.Facts, glance.Fact{Name: "flags", Value: flags})
	}
	if recorder != nil {
		opts.Trends = recorder.Trends
		opts.Facts = append(opts.Facts, glance.Fact{Name: "recording", Value: recorder.Options().Keep.String()})
	}
	return glance.NewSite(a, opts)
}

// shownFlags returns the flags that were given and that the status page may show. Those that
// say where metrics are sent may have a password in them, and are not among them.
func shownFlags(cmd *cobra.Command) string {
	var shown []string
	cmd.Flags().Visit(func(f *pflag.Flag) {
		switch f.Name {
		case "compact-period", "compact-threshold", "no-compact", "reap-python", "record-bytes", "trust-uid", "ttl", "web.lenient", "web.max-requests", "web.timeout":
			shown = append(shown, "--"+f.Name+"="+f.Value.String())
		}
	})
	return strings.Join(shown, " ")
}

func newServer(g gather.Gatherer, site *glance.Site, limit scrapeLimits, log *slog.Logger) *http.Server {
	mux := http.NewServeMux()
	metrics := exposition.HandlerFor(g, limit.handler(log))
	mux.Handle("/metrics", metrics)
	mux.Handle("/metrics/{$}", metrics) // as in client_python
	site.Add(mux)
	server := &http.Server{Handler: mux, WriteTimeout: limit.write()}
	limits.Server(server)
	return server
}

// scrapeLimits are the flags --web.max-requests and --web.timeout.
type scrapeLimits struct {
	requests int
	timeout  time.Duration
	lenient  bool // --web.lenient
}

// defaultScrapeLimits are the flags' defaults. `mpctl run` uses them too.
var defaultScrapeLimits = scrapeLimits{requests: limits.Concurrent, timeout: limits.Gathering}

func (l *scrapeLimits) addFlags(cmd *cobra.Command) {
	cmd.Flags().IntVar(&l.requests, "web.max-requests", defaultScrapeLimits.requests, "how many scrapes may run at once; further ones get 503; -1 for no limit")
	cmd.Flags().DurationVar(&l.timeout, "web.timeout", defaultScrapeLimits.timeout, "how long a scrape may gather before it gets 503; -1 for no limit")
	cmd.Flags().BoolVar(&l.lenient, "web.lenient", false, "also serve values that OpenMetrics forbids, such as a negative sum, for OpenTelemetry's collector")
	obey(cmd, orNoLimit(atLeast(1, ", or -1 for no limit"), false), "web.max-requests")
	obey(cmd, orNoLimit(longerThanZero(", or -1 for no limit"), true), "web.timeout")
}

func (l scrapeLimits) handler(log *slog.Logger) exposition.HandlerOptions {
	return exposition.HandlerOptions{ErrorLog: log, MaxConcurrent: l.requests, Timeout: l.timeout, Lenient: l.lenient}
}

// write is how long a whole answer may take: the time to gather, and the same time
// again to send it.
func (l scrapeLimits) write() time.Duration {
	if l.timeout == metric.NoLimit {
		return metric.NoLimit
	}
	return 2 * l.timeout
}
