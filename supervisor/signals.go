package supervisor

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// impatience is the age of a drain at which another SIGTERM or SIGINT ends it. Before
// that, the signal belongs to the first one: timeout(1), shells and service managers
// send one to the process and one to its group.
const impatience = time.Second

// RunWithSignals is Run for programs that leave their signals to the supervisor.
// SIGTERM and SIGINT drain, and kill once the drain is a second old. SIGHUP reloads. A
// SIGHUP during a reload causes one more reload after it.
//
// SIGPIPE is caught and ignored. If the reader of the log goes away, the log is lost,
// but the supervisor and its workers keep running. Workers start with the default, as
// always. A program that uses Run instead decides for itself, with signal.Notify: Go
// ends a program that writes to a broken stdout or stderr.
func (s *Supervisor) RunWithSignals(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()

	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer signal.Stop(signals)
	// Not signal.Ignore: exec would pass that on to the workers.
	broken := make(chan os.Signal, 1)
	signal.Notify(broken, syscall.SIGPIPE)
	defer signal.Stop(broken)
	ended := make(chan struct{})
	defer close(ended)
	reload := make(chan struct{}, 1)
	wg.Go(func() {
		begun := ctx.Done()
		var since time.Time // when the drain began
		for {
			select {
			case <-ended:
				return
			case <-begun:
				begun, since = nil, time.Now()
			case sig := <-signals:
				s.opt.Logger.Info("signal", "signal", sig.String())
				switch {
				case sig == syscall.SIGHUP:
					select {
					case reload <- struct{}{}:
					default: // one is already waiting
					}
				case ctx.Err() == nil:
					cancel()
				case begun != nil || time.Since(since) < impatience:
					s.opt.Logger.Info("draining continues: that signal came with the first one")
				default:
					s.Kill()
				}
			}
		}
	})
	wg.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-reload:
				if err := s.Reload(ctx); err != nil && ctx.Err() == nil {
					s.opt.Logger.Error("reload failed", "error", err)
				}
			}
		}
	})
	return s.Run(ctx)
}
