package supervisor

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// impatience is the age of a drain at which one more SIGTERM or SIGINT asks for
// its end. Before it, that signal belongs to the first: timeout(1) sends one to the
// process and one to its group, and so do shells and service managers.
const impatience = time.Second

// RunWithSignals is Run for programs that leave their signals to the
// supervisor: SIGTERM and SIGINT drain, and kill once the drain is a second old;
// SIGHUP reloads. A SIGHUP during a reload causes one more reload after it.
//
// SIGPIPE is caught and means nothing: when the reader of the log goes away, the
// log is lost, but neither the supervisor nor its workers. Workers start with the
// default, as always. A program that uses Run instead decides on its own, by
// signal.Notify: Go ends a program that writes to a broken stdout or stderr.
func (s *Supervisor) RunWithSignals(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()

	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer signal.Stop(signals)
	// Not Ignore, which exec would pass on to the workers.
	broken := make(chan os.Signal, 1)
	signal.Notify(broken, syscall.SIGPIPE)
	defer signal.Stop(broken)
	ended := make(chan struct{})
	defer close(ended)
	reload := make(chan struct{}, 1)
	wg.Go(func() {
		begun := ctx.Done()
		var since time.Time // the drain's begin
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
					default: // one is waiting already
					}
				case ctx.Err() == nil:
					cancel()
				case begun != nil || time.Since(since) < impatience:
					s.opt.Logger.Info("the drain goes on: that signal came with the first")
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
