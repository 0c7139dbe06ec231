package prefork

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"sync"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/exposition"
	"github.com/multiprom/multiprom/multiproc"
	"github.com/multiprom/multiprom/registry"
	"github.com/multiprom/multiprom/supervisor"
)

// Process is this process's part in a prefork server, the master's or a child's.
type Process struct {
	dir    string
	logger *slog.Logger

	closeOnce sync.Once
	closeErr  error
	close     func() error

	// The master's; of a child they are nil.
	ctx       context.Context
	compactor *aggregate.Compactor
	metrics   *exposition.Server
	view      *aggregate.Aggregator
	running   sync.WaitGroup

	mu       sync.Mutex
	closed   bool
	children map[int]struct{} // by pid, those that were started and not yet missed
}

// Master makes this process the master: it creates the directory, tells children of
// it by the environment, compacts what an earlier run has left, and goes on compacting
// until Close. With Options.MetricsAddress it serves the merged metrics there.
//
// Call it before the framework starts children. The master has no file, unless it
// updates an instrument itself.
func Master(opts Options) (*Process, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(opts.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("prefork: Dir: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &Process{dir: opts.Dir, logger: opts.Logger, ctx: ctx, children: map[int]struct{}{}}
	p.close = func() error {
		cancel()
		var errs []error
		if p.metrics != nil {
			errs = append(errs, p.metrics.Close())
		}
		p.mu.Lock()
		p.closed = true
		p.mu.Unlock()
		p.running.Wait()
		if p.view != nil {
			errs = append(errs, p.view.Close())
		}
		return errors.Join(errs...)
	}
	// The default Set obeys it too, unless it counts elsewhere already: sameDir
	// decides below.
	if err := os.Setenv(multiproc.EnvDir, opts.Dir); err != nil {
		return nil, errors.Join(fmt.Errorf("prefork: %w", err), p.Close())
	}
	if opts.MetricsAddress != "" {
		if err := p.serve(opts); err != nil {
			return nil, errors.Join(fmt.Errorf("prefork: MetricsAddress: %w", err), p.Close())
		}
	}
	if !opts.NoCompact {
		if p.compactor, err = aggregate.NewCompactor(opts.Dir, opts.Compact); err != nil {
			return nil, errors.Join(fmt.Errorf("prefork: %w", err), p.Close())
		}
		p.compactEarlier(opts.Compact.CompactOptions)
		p.running.Go(func() { p.compactor.Run(ctx) })
	}
	return p, nil
}

func (p *Process) serve(opts Options) error {
	g := opts.Gatherer
	if g == nil && sameDir(multiproc.Default().Dir(), p.dir) {
		g = registry.Default()
	}
	if g == nil {
		view, err := aggregate.Open(p.dir, aggregate.Options{})
		if err != nil {
			return err
		}
		p.view, g = view, registry.Directory(view)
	}
	server, err := exposition.Serve(exposition.ServerOptions{
		Addr: opts.MetricsAddress, Gatherer: g, Handler: exposition.HandlerOptions{ErrorLog: opts.Logger},
	})
	p.metrics = server
	return err
}

// compactEarlier compacts the files of an earlier run. The service is worth more than its
// metrics: what fails is logged, and scrapes say the same.
func (p *Process) compactEarlier(opts aggregate.CompactOptions) {
	opts.Threshold = 1
	r, err := aggregate.Compact(p.ctx, p.dir, opts)
	switch {
	case errors.Is(err, aggregate.ErrBusy):
	case err != nil:
		p.logger.Error("the metrics of an earlier run are not compacted", "dir", p.dir, "error", err)
	case len(r.Compacted) > 0:
		p.logger.Info("compacted the metrics of an earlier run", "dir", p.dir, "processes", len(r.Compacted))
	}
}

// Dir returns the directory, as an absolute path in the master.
func (p *Process) Dir() string { return p.dir }

// MetricsAddr returns where the master serves metrics, nil in a child and without
// Options.MetricsAddress.
func (p *Process) MetricsAddr() net.Addr {
	if p.metrics == nil {
		return nil
	}
	return p.metrics.Addr()
}

// Forked tells the master of a child that was started. Frameworks that do not say
// which child a new one replaces are asked nothing more: children of earlier calls
// that are gone by now have died. In a child it does nothing.
func (p *Process) Forked(pid int) {
	if p.ctx == nil {
		return
	}
	p.mu.Lock()
	var gone []int
	for child := range p.children {
		if child == pid || !exists(child) {
			gone = append(gone, child)
		}
	}
	p.mu.Unlock()
	for _, child := range gone {
		p.Died(child)
	}
	p.mu.Lock()
	p.children[pid] = struct{}{}
	p.mu.Unlock()
}

// Died tells the master of a child that has died and was waited for. It never
// blocks. In a child, and for a pid that is not of Forked, it does nothing.
func (p *Process) Died(pid int) {
	if p.ctx == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.children[pid]; !ok || p.closed {
		return
	}
	delete(p.children, pid)
	p.running.Go(func() { p.mark(pid) })
}

// mark is what readers go by where the kernel's locks cannot be trusted; elsewhere
// it waits until the lock is free, so that the compactor does not come too early.
func (p *Process) mark(pid int) {
	_, err := supervisor.MarkProcessDead(p.ctx, p.dir, strconv.Itoa(pid), aggregate.MarkOptions{})
	if err != nil && !errors.Is(err, aggregate.ErrNoSuchProcess) && p.ctx.Err() == nil {
		p.logger.Warn("a dead child is not marked", "pid", pid, "error", err)
	}
	if p.compactor != nil {
		p.compactor.Died()
	}
}

// Close ends what Master has started, or closes a child's store: gauge functions are
// evaluated once more, and readers take the child for dead. A process that ends
// needs neither.
func (p *Process) Close() error {
	p.closeOnce.Do(func() { p.closeErr = p.close() })
	return p.closeErr
}
