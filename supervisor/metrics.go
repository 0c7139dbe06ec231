package supervisor

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/exposition"
	"github.com/multiprom/multiprom/internal/glance"
	"github.com/multiprom/multiprom/internal/limits"
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
	case o.MetricsLenient && o.MetricsAddress == "":
		return fmt.Errorf("%w: MetricsLenient is set, but MetricsAddress is not", errOptions)
	case o.MetricsLenient && o.Metrics != nil:
		return fmt.Errorf("%w: MetricsLenient and Metrics are both set: Metrics has its own options", errOptions)
	}
	return nil
}

// openView opens the merged view of Dir, unless something else is to be served.
func (s *Supervisor) openView() error {
	if s.opt.MetricsAddress == "" || s.opt.Metrics != nil {
		return nil
	}
	view, err := aggregate.Open(s.opt.Dir, aggregate.Options{
		TrustUIDs: s.opt.Compact.TrustUIDs, MaxFileBytes: s.opt.Compact.MaxFileBytes, Logger: s.opt.Logger, Workers: s.pids,
	})
	if err != nil {
		return fmt.Errorf("supervisor: metrics: %w", err)
	}
	s.view = view
	mux := http.NewServeMux()
	glance.NewSite(view, glance.SiteOptions{Version: version()}).Add(mux)
	mux.Handle("/", exposition.HandlerFor(registry.Directory(view), exposition.HandlerOptions{
		Timeout: limits.Gathering, ErrorLog: s.opt.Logger, Lenient: s.opt.MetricsLenient,
	}))
	s.opt.Metrics = mux
	return nil
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
