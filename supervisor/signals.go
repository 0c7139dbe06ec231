package supervisor

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// RunWithSignals is Run for programs that leave their signals to the
// supervisor: SIGTERM and SIGINT drain, and kill when the drain has begun
// already; SIGHUP reloads.
// A SIGHUP during a reload causes one more reload after it.
func (s *Supervisor) RunWithSignals(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()

	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer signal.Stop(signals)
	ended := make(chan struct{})
	defer close(ended)
	reload := make(chan struct{}, 1)
	wg.Go(func() {
		for {
			select {
			case <-ended:
				return
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
