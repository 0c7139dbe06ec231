package supervisor

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/exposition"
	"github.com/multiprom/multiprom/gather"
	"github.com/multiprom/multiprom/internal/glance"
	"github.com/multiprom/multiprom/internal/limits"
	"github.com/multiprom/multiprom/internal/record"
	"github.com/multiprom/multiprom/multiproc"
	"github.com/multiprom/multiprom/registry"
)

// checkMetrics checks the options for metrics, once Dir is known.
func (o Options) checkMetrics() error {
	switch {
	case o.MetricsAddress == "" && o.Metrics != nil:
		return fmt.Errorf("%w: Metrics is set, but MetricsAddress is not", errOptions)
	case o.MetricsAddress != "" && o.Dir == "":
		return fmt.Errorf("%w: MetricsAddress is set, but there is no directory for the workers' metrics: set Dir or %s", errOptions, envDir)
	case len(o.Exits) > 0 && o.Dir == "":
		return fmt.Errorf("%w: Exits are set, but there is no directory for the workers' metrics: set Dir or %s", errOptions, envDir)
	case o.Record > 0 && o.Dir == "":
		return fmt.Errorf("%w: Record is set, but there is no directory for the workers' metrics: set Dir or %s", errOptions, envDir)
	case o.MetricsLenient && o.MetricsAddress == "":
		return fmt.Errorf("%w: MetricsLenient is set, but MetricsAddress is not", errOptions)
	case o.MetricsLenient && o.Metrics != nil:
		return fmt.Errorf("%w: MetricsLenient and Metrics are both set: Metrics has its own options", errOptions)
	}
	return nil
}

// Exit sends metrics elsewhere until ctx ends, such as a remotewrite.Writer, an
// otlp.Exporter or a graphite.Bridge.
type Exit interface {
	Run(ctx context.Context, g gather.Gatherer) error
}

// openView opens the merged view of Dir, unless nothing needs it.
func (s *Supervisor) openView() error {
	served := s.opt.MetricsAddress != "" && s.opt.Metrics == nil
	if !served && len(s.opt.Exits) == 0 && s.opt.Record == 0 {
		return nil
	}
	view, err := aggregate.Open(s.opt.Dir, aggregate.Options{
		TrustUIDs: s.opt.Compact.TrustUIDs, MaxFileBytes: s.opt.Compact.MaxFileBytes, Logger: s.opt.Logger, Workers: s.pids,
	})
	if err != nil {
		return fmt.Errorf("supervisor: metrics: %w", err)
	}
	s.view, s.merged = view, registry.Directory(view)
	for _, e := range s.opt.Exits {
		if own, ok := e.(gather.Gatherer); ok {
			s.merged = registry.Merge(s.merged, own)
		}
	}
	if served {
		mux := http.NewServeMux()
		glance.NewSite(view, s.siteOptions()).Add(mux)
		mux.Handle("/", exposition.HandlerFor(s.merged, exposition.HandlerOptions{
			Timeout: limits.Gathering, ErrorLog: s.opt.Logger, Lenient: s.opt.MetricsLenient,
		}))
		s.opt.Metrics = mux
	}
	return nil
}

// siteOptions returns what the status page says of this supervisor, which is nothing secret.
func (s *Supervisor) siteOptions() glance.SiteOptions {
	o := glance.SiteOptions{Version: version(), Facts: []glance.Fact{
		{Name: "slots", Value: fmt.Sprint(s.opt.Workers)},
		{Name: "drain", Value: s.opt.DrainTimeout.String()},
	}}
	if s.opt.NoCompact {
		o.Facts = append(o.Facts, glance.Fact{Name: "compacting", Value: "off"})
	}
	if s.opt.Record > 0 {
		o.Facts = append(o.Facts, glance.Fact{Name: "recording", Value: s.opt.Record.String()})
		o.Trends = func() (t record.Trends) {
			if r := s.recorder.Load(); r != nil {
				t = r.Trends()
			}
			return t
		}
	}
	return o
}

// startExits starts the exits. stop ends them and waits until they have sent their last
// values.
func (s *Supervisor) startExits() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for _, e := range s.opt.Exits {
		wg.Go(func() {
			if err := e.Run(ctx, s.merged); err != nil {
				s.opt.Logger.Error("an exit has ended", "error", err)
			}
		})
	}
	return func() {
		cancel()
		wg.Wait()
	}
}

// startRecorder records in the background. stop waits until that has ended.
func (s *Supervisor) startRecorder() (stop func(), err error) {
	if s.opt.Record == 0 {
		return func() {}, nil
	}
	recorder, err := record.Open(record.DirOf(s.opt.Dir), s.view, record.Options{Keep: s.opt.Record, Logger: s.opt.Logger})
	if err != nil {
		return nil, fmt.Errorf("supervisor: %w", err)
	}
	s.recorder.Store(recorder)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		recorder.Run(ctx)
	}()
	return func() {
		cancel()
		<-done
		if err := recorder.Close(); err != nil {
			s.opt.Logger.Warn("closing the recording", "error", err)
		}
	}, nil
}

// version returns the version of the main module of this program.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Main.Version
	}
	return ""
}

// pids returns the PIDs of the workers. The view also lists those without a file.
func (s *Supervisor) pids() (pids []int) {
	for _, w := range s.Workers() {
		pids = append(pids, w.PID)
	}
	return pids
}

func (s *Supervisor) metricsServer() *http.Server {
	srv := &http.Server{Handler: s.opt.Metrics}
	limits.Server(srv)
	return srv
}

// settleDefaultSet makes this process's default Set, and so registry.Default, use the
// workers' directory. It sets the environment variable, so programs that this process
// starts use it too.
func settleDefaultSet(dir string) error {
	if dir == "" {
		return nil
	}
	set := multiproc.Default()
	if sameDir(set.Dir(), dir) {
		return nil
	}
	if !set.Opened() {
		return os.Setenv(envDir, dir)
	}
	where := "on the heap"
	if set.Dir() != "" {
		where = "in " + set.Dir()
	}
	return fmt.Errorf("%w: Dir is %s, but this process has counted %s already, and its /metrics would show that: "+
		"call New before the first update, or set %s before the program starts: %w", errOptions, dir, where, envDir, multiproc.ErrTooLate)
}

func sameDir(a, b string) bool {
	a, errA := filepath.Abs(a)
	b, errB := filepath.Abs(b)
	return errA == nil && errB == nil && a == b
}
