package registry

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/multiprom/multiprom/metric"
)

// namedGatherer is a Gatherer that can save work if only some sample names are asked
// for. It may yield more than that. nil asks for everything.
type namedGatherer interface {
	gatherNamed(ctx context.Context, asked asking) ([]*metric.Family, error)
}

// Gather runs all collectors and returns their families and target_info. If a collector
// fails, panics or is too slow, its own families are missing, and the joined error has a
// *CollectError that says so.
func (r *Registry) Gather(ctx context.Context) ([]*metric.Family, error) {
	return r.gatherNamed(ctx, nil)
}

func (r *Registry) gatherNamed(ctx context.Context, asked asking) ([]*metric.Family, error) {
	r.mu.RLock()
	target := r.target
	entries := slices.DeleteFunc(slices.Clone(r.entries), func(e *entry) bool { return !e.mayYield(asked) })
	r.mu.RUnlock()
	// Collectors that described their names come first, so that one that did not cannot
	// take a name from them.
	slices.SortStableFunc(entries, func(a, b *entry) int {
		return boolToInt(len(a.names) == 0) - boolToInt(len(b.names) == 0)
	})

	results := r.runAll(ctx, entries)

	s := scrape{names: make(map[string]claimant)}
	if target != nil {
		s.add(nil, target)
	}
	for i, e := range entries {
		if results[i].err != nil {
			s.errs = append(s.errs, &CollectError{e.collector, results[i].err})
		}
		for _, f := range results[i].families {
			if f, err := checked(f); err != nil {
				s.errs = append(s.errs, &CollectError{e.collector, err})
			} else {
				s.add(e.collector, f)
			}
		}
	}
	sortFamilies(s.families)
	return s.families, errors.Join(s.errs...)
}

// scrape is the result of one Gather as it grows.
type scrape struct {
	names    map[string]claimant // sample names so far
	families []*metric.Family
	errs     []error
}

func (s *scrape) add(c Collector, f *metric.Family) {
	if err := claim(s.names, claimant{c, f.Name, f.Type}); err != nil {
		s.errs = append(s.errs, &CollectError{c, err})
		return
	}
	s.families = append(s.families, f)
}

type result struct {
	families []*metric.Family
	err      error
}

// runAll runs the collectors, Options.Concurrency at once, and returns their
// results in the same order.
func (r *Registry) runAll(ctx context.Context, entries []*entry) []result {
	results := make([]result, len(entries))
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(r.opts.Concurrency, len(entries)) {
		wg.Go(func() {
			for i := range next {
				results[i].families, results[i].err = entries[i].run(ctx, r.opts.CollectTimeout)
			}
		})
	}
	for i := range entries {
		next <- i
	}
	close(next)
	wg.Wait()
	return results
}

// mayYield reports whether the collector may have a sample of those names.
func (e *entry) mayYield(asked asking) bool {
	if asked == nil || len(e.names) == 0 {
		return true
	}
	for name := range e.names {
		if asked(name) {
			return true
		}
	}
	return false
}

// run runs the collector once, on a goroutine of its own, and abandons it when ctx or the
// timeout ends. No other run is started until an abandoned one has returned: a collector
// that hangs costs one goroutine, or as many as there were scrapes at that moment, but
// not one for each later scrape.
func (e *entry) run(ctx context.Context, timeout time.Duration) ([]*metric.Family, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("%w after %v", errTimeout, timeout))
	defer cancel()

	// Guarded by e.mu until the run is finished, constant from then on.
	var (
		res                 result
		finished, abandoned bool
	)
	e.mu.Lock()
	stuck := e.stuck
	e.mu.Unlock()
	switch {
	case stuck > 0:
		return nil, errStillRunning
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	}

	done := make(chan struct{})
	go func() {
		// This is the result if the collector ends its goroutine, as FailNow does.
		own := result{err: errors.New("the collector called runtime.Goexit")}
		defer func() {
			e.mu.Lock()
			res, finished = own, true
			if abandoned {
				e.stuck--
			}
			e.mu.Unlock()
			close(done)
		}()
		own.families, own.err = protect(ctx, e.collector.Collect)
	}()

	select {
	case <-done:
	case <-ctx.Done():
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if !finished {
		abandoned = true
		e.stuck++
		return nil, context.Cause(ctx)
	}
	if res.err != nil && ctx.Err() != nil && errors.Is(res.err, ctx.Err()) {
		// Either the collector or this function sees the end first. The error matches
		// the same in both cases.
		return res.families, fmt.Errorf("%w: %w", context.Cause(ctx), res.err)
	}
	return res.families, res.err
}

// protect calls collect and turns a panic into a *PanicError.
func protect(ctx context.Context, collect func(context.Context) ([]*metric.Family, error)) (families []*metric.Family, err error) {
	defer func() {
		if v := recover(); v != nil {
			families, err = nil, panicked(v)
		}
	}()
	return collect(ctx)
}

func panicked(v any) error { return &PanicError{Value: v, Stack: debug.Stack()} }

// sortFamilies sorts by name; the series are in order already, and may be
// shared.
func sortFamilies(families []*metric.Family) {
	slices.SortStableFunc(families, func(a, b *metric.Family) int { return strings.Compare(a.Name, b.Name) })
}

func boolToInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
