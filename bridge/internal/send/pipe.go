package send

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/multiprom/multiprom/bridge/delivery"
	"github.com/multiprom/multiprom/exposition"
	"github.com/multiprom/multiprom/gather"
	"github.com/multiprom/multiprom/internal/options"
	"github.com/multiprom/multiprom/internal/views"
	"github.com/multiprom/multiprom/metric"
)

// Encoder is a protocol. Its methods are called by one goroutine at a time, except Header and
// Judge, which may be called while a round is encoded.
type Encoder interface {
	// Begin begins a round at r.Time, to which the Encoder adds batches until End.
	Begin(r *Round)
	// Names returns the names under which a receiver stores the samples of a family.
	Names(family string, t metric.Type) []string
	// Family adds a family. No other of the round has one of its Names. left is how many of
	// its series could not be encoded because others became equal to them.
	Family(f *views.Family) (left int)
	// Gone adds staleness markers for series that left, except those whose names are g.Taken.
	Gone(g *Gone)
	// End ends the round.
	End()
	// Header sets the headers of a request with a batch of that form.
	Header(form byte, h http.Header)
	// Judge says what the answer to a batch means.
	Judge(b *Batch, a *Answer) Verdict
}

// Verdict is what an answer means.
type Verdict struct {
	Outcome  Outcome
	Rejected int    // samples of the batch that were not stored, with Sent or Refused
	Note     string // why, for the log
	Instead  Batch  // with Convert: what to send instead
}

// Outcome says what happens next.
type Outcome byte

// The outcomes.
const (
	Sent    Outcome = iota
	Retry           // send it again later
	Refused         // never send it again
	Convert         // send Verdict.Instead
)

// shutdownTime is how long Run takes at its end to send what is left.
const shutdownTime = 10 * time.Second

// Pipe sends rounds to one receiver. Only one of its methods Push and Run may run at a time.
type Pipe struct {
	name    string // of the package, before errors
	opts    delivery.Options
	enc     Encoder
	client  *client
	tracker Tracker
	stats   stats

	last   time.Time // of the last round
	since  time.Time // of the last round that was answered, or written to the queue
	round  Round
	names  names // of the round
	logged string

	backoff backoff // of the goroutine that sends
}

// New returns a Pipe of the package with that name. It sends nothing yet.
func New(name string, opts delivery.Options, enc Encoder) (*Pipe, error) {
	fail := func(err error) (*Pipe, error) { return nil, fmt.Errorf("%s: %w", name, err) }
	if err := complete(&opts); err != nil {
		return fail(err)
	}
	p := &Pipe{name: name, opts: opts, enc: enc, backoff: backoff{longest: opts.MaxBackoff}}
	var err error
	if p.client, err = newClient(&p.opts); err != nil {
		return fail(err)
	}
	p.stats.init(name, p.client.target)
	return p, nil
}

// complete checks options and fills in what was left out.
func complete(o *delivery.Options) error {
	var c options.Checker
	options.Number(&c, "Interval", &o.Interval, 15*time.Second)
	options.Number(&c, "Timeout", &o.Timeout, 30*time.Second)
	options.Number(&c, "MaxBackoff", &o.MaxBackoff, 30*time.Second)
	options.Number(&c, "MaxSamples", &o.MaxSamples, 2000)
	options.Number(&c, "MaxBytes", &o.MaxBytes, 1_000_000)
	options.Number(&c, "QueueBytes", &o.QueueBytes, 512<<20, options.NoLimit)
	options.Number(&c, "QueueAge", &o.QueueAge, 2*time.Hour, options.NoLimit)
	if o.URL == "" {
		c.Failf("URL", "is empty: it is required")
	}
	if o.Password != "" && o.PasswordFile != "" {
		c.Failf("PasswordFile", "and Password are both set: use one")
	}
	if o.Token != "" && o.TokenFile != "" {
		c.Failf("TokenFile", "and Token are both set: use one")
	}
	for name, value := range o.Headers {
		if !validHeader(name, value) {
			c.Failf("Headers", "has %q, which is not a valid header", name)
		}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return c.Err()
}

// validHeader reports whether net/http would send the header.
func validHeader(name, value string) bool {
	for _, r := range name {
		if r <= ' ' || r >= 0x7f || r == ':' {
			return false
		}
	}
	for _, r := range value {
		if r < ' ' && r != '\t' || r == 0x7f {
			return false
		}
	}
	return name != ""
}

// encode sets the round to what g gathers now. omitted says what was left out.
func (p *Pipe) encode(ctx context.Context, g gather.Gatherer) (omitted, err error) {
	at := p.opts.Now()
	// A clock that is set back must not take the samples of a series back in time.
	if !at.Truncate(time.Millisecond).After(p.last) {
		at = p.last.Add(time.Millisecond)
	}
	p.last = at.Truncate(time.Millisecond)
	p.round.Reset(p.last)
	p.round.Since = p.since
	views.Show(ctx, g, func(families []views.Family, failed error) {
		if failed != nil {
			if len(families) == 0 {
				err = fmt.Errorf("%s: nothing was sent: %w", p.name, failed)
				return
			}
			p.opts.Logger.Warn("some metrics could not be gathered", "error", failed)
		}
		p.round.Read = p.opts.Now()
		if read := p.round.Read.Truncate(time.Millisecond); read.After(p.last) {
			p.last = read // some samples may have this time
		}
		omitted = p.encodeRound(families)
	})
	if omitted != nil {
		omitted = fmt.Errorf("%s: everything else was sent: %w", p.name, omitted)
	}
	return omitted, err
}

// encodeRound sets the batches of the round: families, and markers for what left since the
// rounds before. It returns what was left out.
func (p *Pipe) encodeRound(families []views.Family) error {
	families = slices.DeleteFunc(slices.Clone(families), func(f views.Family) bool {
		return f.Family == nil || f.Len() == 0 || !f.Type.Valid()
	})
	var left exposition.OmissionError
	p.enc.Begin(&p.round)
	p.names.reset()
	for i := range families {
		if f := &families[i]; p.names.take(f.Name, p.enc.Names(f.Name, f.Type)) {
			left.Series += p.enc.Family(f)
		} else {
			left.Names = append(left.Names, f.Name)
		}
	}
	p.encodeGone(p.tracker.Compare(families))
	p.enc.End()
	return left.OrNil()
}

// encodeGone adds markers.
func (p *Pipe) encodeGone(gone []*Gone) {
	for _, g := range gone {
		g.Taken = p.names.takenOf(g, p.enc.Names(g.Name, g.Type))
		p.enc.Gone(g)
	}
}

// Push sends what g yields, once. It tries again until ctx ends, at most for Timeout.
func (p *Pipe) Push(ctx context.Context, g gather.Gatherer) error {
	ctx, cancel := context.WithTimeout(ctx, p.opts.Timeout)
	defer cancel()
	omitted, err := p.encode(ctx, g)
	if err != nil {
		return err
	}
	err = p.deliver(ctx, &p.round, patience{})
	p.settle(err)
	if err != nil {
		return err
	}
	return omitted
}

// settle notes how the delivery of the round ended.
func (p *Pipe) settle(err error) {
	p.tracker.Settle(err == nil)
	if err == nil || errors.Is(err, errRefused) {
		p.since = p.round.Time
	}
}

// Run sends at once and then at every interval until ctx ends. Then it sends the last values
// and a staleness marker for every series, and returns nil.
func (p *Pipe) Run(ctx context.Context, g gather.Gatherer) (err error) {
	if p.opts.QueueDir != "" {
		return p.runQueue(ctx, g)
	}
	tick := time.NewTicker(p.opts.Interval)
	defer tick.Stop()
	for {
		p.once(ctx, g, patience{until: time.Now().Add(p.opts.Interval)})
		select {
		case <-tick.C:
		case <-ctx.Done():
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
			defer cancel()
			p.backoff.skip()
			p.once(ctx, g, patience{})
			p.markAll()
			if err := p.deliver(ctx, &p.round, patience{}); err != nil {
				p.say(fmt.Errorf("%s: the staleness markers of the end were not sent: %w", p.name, err))
			}
			return nil
		}
		if ctx.Err() == nil {
			drain(tick)
		}
	}
}

// drain takes a tick that came while a round was being sent: the next one is at the next
// interval.
func drain(tick *time.Ticker) {
	select {
	case <-tick.C:
	default:
	}
}

// once gathers and sends one round.
func (p *Pipe) once(ctx context.Context, g gather.Gatherer, worth patience) {
	omitted, err := p.encode(ctx, g)
	if err == nil {
		p.note(omitted)
		err = p.deliver(ctx, &p.round, worth)
		p.settle(err)
	}
	if ctx.Err() == nil && !errors.Is(err, errSuperseded) { // the first failure was logged
		p.say(err)
	}
}

// markAll sets the round to a marker for every series.
func (p *Pipe) markAll() {
	p.last = p.last.Add(time.Millisecond)
	p.round.Reset(p.last)
	p.enc.Begin(&p.round)
	p.names.reset()
	p.encodeGone(p.tracker.All())
	p.enc.End()
}

// note logs an omission, if it is not the one before.
func (p *Pipe) note(omitted error) {
	if omitted != nil && omitted.Error() != p.logged {
		p.logged = omitted.Error()
		p.opts.Logger.Warn(p.logged)
	}
}

func (p *Pipe) say(err error) {
	if err != nil {
		p.opts.Logger.Warn(err.Error())
	}
}

// errSuperseded: the next interval began before the round was sent.
var errSuperseded = errors.New("the receiver did not answer in time: the newest values will be sent instead")

// errEnding: the process ends before the round can be sent.
var errEnding = errors.New("the process ended before the receiver could be asked again")

// errRefused: the receiver does not want a batch.
var errRefused = errors.New("the receiver refused samples")

// deliver sends the batches of a round in order. A batch that is refused is dropped, and the
// others are sent.
func (p *Pipe) deliver(ctx context.Context, r *Round, worth patience) error {
	var refused error
	for i := range r.Batches {
		err := p.sendBatch(ctx, &r.Batches[i], worth)
		switch {
		case errors.Is(err, errRefused):
			refused = err
		case errors.Is(err, errSuperseded) && p.opts.QueueDir != "":
			p.stats.drop("queue_age", r.Samples(i))
			return nil // counted, and not to be sent again
		case err != nil:
			if p.opts.QueueDir == "" {
				p.stats.drop("superseded", r.Samples(i))
			}
			return err
		}
	}
	return refused
}

// sendBatch sends one batch until the receiver has answered. If it does not, the last error and
// why it was the last one are returned.
func (p *Pipe) sendBatch(ctx context.Context, b *Batch, worth patience) (failed error) {
	for {
		if err := p.backoff.wait(ctx, worth); err != nil {
			return errors.Join(failed, err)
		}
		answer, err := p.client.post(ctx, b.Body, func(h http.Header) { p.enc.Header(b.Form, h) })
		v, retryAfter := Verdict{Outcome: Retry}, time.Duration(0)
		if err == nil {
			v, retryAfter = p.enc.Judge(b, answer), answer.retryAfter
		}
		switch v.Outcome {
		case Convert:
			if v.Note != "" {
				p.opts.Logger.Info(v.Note)
			}
			*b = v.Instead
			continue
		case Sent:
			p.backoff.answered()
			if p.stats.sent(b, v.Rejected, p.opts.Now()) {
				p.opts.Logger.Info(p.name+": the receiver answers again", "url", p.client.target.String())
			}
			if v.Rejected > 0 {
				p.opts.Logger.Warn(p.name+": the receiver left out samples", "count", v.Rejected, "reason", v.Note)
			}
			return nil
		case Refused:
			p.backoff.answered()
			p.stats.refused(b, v.Rejected)
			return fmt.Errorf("%s: %s: %w: %s: %s", p.name, p.client.target, errRefused, answer.Status, answer.Line())
		}
		if err == nil {
			err = fmt.Errorf("%s: %s", answer.Status, answer.Line())
		}
		failed = fmt.Errorf("%s: %s: %w", p.name, p.client.target, err)
		if ctx.Err() != nil {
			return failed // it was cut off
		}
		p.backoff.failed(retryAfter)
		p.stats.retry()
		if p.stats.failing() {
			p.opts.Logger.Warn(failed.Error())
		}
	}
}

// Bounds returns how many samples and bytes a batch may have.
func (p *Pipe) Bounds() (samples, bytes int) { return p.opts.MaxSamples, p.opts.MaxBytes }
