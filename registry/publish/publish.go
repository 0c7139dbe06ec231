package publish

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/multiprom/multiprom/gather"
	"github.com/multiprom/multiprom/internal/access"
	"github.com/multiprom/multiprom/internal/options"
	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/multiproc"
)

// ErrClosed: the Publisher is closed.
var ErrClosed = errors.New("publisher is closed")

// Options of Start. The zero value publishes the Go runtime metrics of this
// process every 10 s in the default Set.
type Options struct {
	// Source is what is published: a registry.Registry with the worker's own
	// collectors, or another Gatherer whose values are those of this process alone. Nil
	// means the Go runtime. In a Set without a directory, nil publishes nothing, because
	// registry.Default shows the Go runtime there.
	Source gather.Gatherer
	// Set is where to. Default: multiproc.Default().
	Set *multiproc.Set
	// Mode says how the values of gauges, state sets and unknown families merge, and
	// whether a family is published at all. It is called once for each name and type.
	// Default: PerProcess.
	Mode func(f *metric.Family) (mode metric.Mode, publish bool)
	// Name is the value of the label publisher of the publisher's own metrics, which
	// distinguishes the publishers of a Set. Default "runtime".
	Name string
	// Period is the time from one publication to the next. Default 10 s.
	Period time.Duration
	// Timeout is when the source is told to return what it has. After twice as long it is
	// abandoned. Default 5 s.
	Timeout time.Duration
	// MaxSeries bounds the series of a family; further ones are left out.
	// Default 10,000; metric.NoLimit.
	MaxSeries int
	// OnError gets the errors of publications at the period; see Publish. It must return
	// soon. Default: no function.
	OnError func(error)
	// Now is the clock. Default time.Now.
	Now func() time.Time

	tick <-chan time.Time // of a test, instead of Period
}

// withDefaults checks the options and fills in what was left out.
func (o Options) withDefaults() (Options, error) {
	var c options.Checker
	options.Number(&c, "Period", &o.Period, 10*time.Second)
	options.Number(&c, "Timeout", &o.Timeout, 5*time.Second)
	options.Number(&c, "MaxSeries", &o.MaxSeries, 10_000, options.NoLimit)
	if o.MaxSeries == options.NoLimit {
		o.MaxSeries = math.MaxInt
	}
	if o.Set == nil {
		o.Set = multiproc.Default()
	}
	if o.Mode == nil {
		o.Mode = PerProcess
	}
	if o.Name == "" {
		o.Name = "runtime"
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o, c.Err()
}

// Publisher writes what a Gatherer yields into a Set's store. It is safe for concurrent use,
// and publications take turns.
type Publisher struct {
	opts   Options
	idle   bool // there is nothing to publish
	source gather.Gatherer

	time     *multiproc.Gauge
	failures *multiproc.Counter

	stop    chan struct{} // closed by Close
	stopped chan struct{} // closed when the period's goroutine has ended

	turn   chan struct{} // holds one token while nobody publishes
	book   book          // of who has the token
	closed bool          // the same

	closing sync.Once
	last    error // of Close
}

// Start makes this process a worker, as multiproc.Open does. It publishes at once and then at
// each period, until Close. It does not wait for the first publication; Publish does.
//
// The error is that of Set.Open, or matches multiproc.ErrConflict if the names of the
// publisher's own metrics are taken.
func Start(opts Options) (*Publisher, error) {
	idle := opts.Source == nil
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("publish: %w", err)
	}
	idle = idle && opts.Set.Dir() == ""
	p := &Publisher{
		opts: opts, idle: idle, stop: make(chan struct{}), stopped: make(chan struct{}), turn: make(chan struct{}, 1),
	}
	p.turn <- struct{}{}
	if p.idle {
		// From here on values are on the heap. A directory that is set later is an error
		// of the next Open instead of being ignored.
		if err := opts.Set.Open(); err != nil {
			return nil, fmt.Errorf("publish: %w", err)
		}
		close(p.stopped)
		return p, nil
	}
	if opts.Source == nil {
		opts.Source = goRuntime()
	}
	p.source = guarded(opts.Source, opts.Timeout)
	if err := p.declare(); err != nil {
		return nil, err
	}
	if err := opts.Set.Open(); err != nil {
		return nil, fmt.Errorf("publish: %w", err)
	}
	p.book = book{
		owner: p, store: access.Store(opts.Set), claim: func(owner any, names []string) error { return access.Claim(opts.Set, owner, names) }, mode: opts.Mode, maxSeries: opts.MaxSeries,
		families: map[string]*family{},
	}
	go p.run()
	return p, nil
}

// declare makes the publisher's own metrics.
func (p *Publisher) declare() error {
	times, err := p.opts.Set.NewGaugeVec(multiproc.GaugeOpts{
		Name: "multiprom_publish_timestamp_seconds", Mode: metric.ModeLiveAll,
		Help: "When the process has last published what its collectors say, in seconds since 1970.",
	}, []string{"publisher"})
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	failures, err := p.opts.Set.NewCounterVec(multiproc.CounterOpts{
		Name: "multiprom_publish_failures_total",
		Help: "Publications in which a collector failed or something was left out.",
	}, []string{"publisher"})
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	if p.time, err = times.GetMetricWithLabelValues(p.opts.Name); err != nil {
		return fmt.Errorf("publish: Options.Name: %w", err)
	}
	p.failures = failures.WithLabelValues(p.opts.Name)
	return nil
}

// String names the publisher in errors.
func (p *Publisher) String() string { return fmt.Sprintf("publisher %q", p.opts.Name) }

// run publishes at the period. Close waits for a publication that is running: if it were
// given up, the last one could not run the source.
func (p *Publisher) run() {
	defer close(p.stopped)
	tick := p.opts.tick
	if tick == nil {
		ticker := time.NewTicker(p.opts.Period)
		defer ticker.Stop()
		tick = ticker.C
	}
	for {
		if err := p.Publish(context.Background()); err != nil && p.opts.OnError != nil {
			p.opts.OnError(err)
		}
		select {
		case <-p.stop:
			return
		case <-tick:
		}
	}
}

// Publish gathers and writes now. The error joins what the source reported and what could
// not be published; everything else was. If ctx ends first, nothing was written, and the
// error is the cause of that. After Close it is ErrClosed.
func (p *Publisher) Publish(ctx context.Context) error {
	select {
	case <-p.turn:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { p.turn <- struct{}{} }()
	if p.closed {
		return fmt.Errorf("publish: %w", ErrClosed)
	}
	return p.publish(ctx)
}

// publish is Publish for a caller that has the turn.
func (p *Publisher) publish(ctx context.Context) error {
	if p.idle {
		return nil
	}
	families, gathered := p.source.Gather(ctx)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	now := p.opts.Now()
	err := errors.Join(gathered, p.book.enter(families, now))
	p.book.sweep(gathered == nil)
	if gathered == nil || len(families) > 0 {
		p.time.Set(float64(now.UnixNano()) / 1e9)
	}
	if err != nil {
		p.failures.Inc()
		return fmt.Errorf("publish: %w", err)
	}
	return nil
}

// Close ends the period, publishes once more, and returns the error of that publication. It
// takes at most twice Options.Timeout, and as long again if a publication is running. What
// was published stays: a process's counters count for ever. Close the Set afterwards, not
// before. A second call does nothing.
func (p *Publisher) Close() error {
	p.closing.Do(func() {
		close(p.stop)
		<-p.stopped
		<-p.turn
		defer func() { p.turn <- struct{}{} }()
		p.last = p.publish(context.Background())
		p.closed = true
	})
	return p.last
}
