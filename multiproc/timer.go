package multiproc

import "time"

// Observer takes observations: a Histogram, a Summary or a function.
type Observer interface{ Observe(float64) }

// ObserverFunc makes a function an Observer: ObserverFunc(gauge.Set) records
// the last duration.
type ObserverFunc func(float64)

// Observe calls f.
func (f ObserverFunc) Observe(v float64) { f(v) }

// Timer measures one duration.
type Timer struct {
	begin    time.Time
	observer Observer
	now      func() time.Time
}

// NewTimer starts a timer whose duration goes to o, in seconds:
//
//	defer multiproc.NewTimer(latency).ObserveDuration()
func NewTimer(o Observer) *Timer { return newTimer(o, time.Now) }

func newTimer(o Observer, now func() time.Time) *Timer { return &Timer{now(), o, now} }

// ObserveDuration gives the observer the time since the start and returns it. It is never
// negative.
func (t *Timer) ObserveDuration() time.Duration {
	d := max(0, t.now().Sub(t.begin))
	if t.observer != nil {
		t.observer.Observe(d.Seconds())
	}
	return d
}

// ObserveDurationWithExemplar is ObserveDuration with an exemplar, if the observer takes
// one.
func (t *Timer) ObserveDurationWithExemplar(exemplar Labels) time.Duration {
	o, ok := t.observer.(exemplarObserver)
	if !ok {
		return t.ObserveDuration()
	}
	d := max(0, t.now().Sub(t.begin))
	o.ObserveWithExemplar(d.Seconds(), exemplar)
	return d
}
