package multiproc

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/multiprom/multiprom/internal/form"
	"github.com/multiprom/multiprom/internal/lifetime"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/internal/options"
	"github.com/multiprom/multiprom/metric"
)

// The janitor of a Set has idle series expire. It is a timer: a goroutine exists only while it
// works. A Set without a TTL has none.

// expirer is a Vec, for the janitor.
type expirer interface {
	look(store *mpm.Store)
	restart(s *series)
}

// ttlOf returns the TTL of an instrument that was declared with the asked one: that, or what
// the Set says. Of a Set whose environment is not read yet that is nothing.
func (s *Set) ttlOf(schema *metric.Schema, asked time.Duration) time.Duration {
	if len(schema.Labels) == 0 || schema.Type == metric.Info {
		return 0
	}
	if asked == 0 {
		asked = s.opts.TTL
		if at := s.at.Load(); at != nil && s.getenv != nil {
			asked = at.ttl.of(schema)
		}
	}
	return max(0, lifetime.Round(asked))
}

// takeTTL gives an instrument what the environment says now that it is read. The Set's lock
// is held, and the instrument has no family and no series with words.
func (in *instrument) takeTTL() {
	in.schema.TTL = in.set.ttlOf(in.schema, in.asked)
	in.words = mpm.WordsPerSeries(in.schema)
}

// ttls are the TTLs that a variable gives to metrics.
type ttls struct {
	all   time.Duration            // of all that have none of their own
	names map[string]time.Duration // by name
}

func (t *ttls) of(schema *metric.Schema) time.Duration {
	if d, ok := t.names[schema.Name]; ok {
		return d
	}
	if d, ok := t.names[schema.Name+"_total"]; ok && schema.Type == metric.Counter {
		return d
	}
	return t.all
}

// parseTTLs reads a list such as "15m,http_requests_total=1h,jobs=never": a Go duration for
// all metrics, and others by name.
func parseTTLs(text string) (out ttls, err error) {
	for item := range strings.SplitSeq(text, ",") {
		name, value, named := strings.Cut(strings.TrimSpace(item), "=")
		if !named {
			name, value = "", name
		}
		d, err := parseTTL(value)
		if err == nil && named {
			err = form.CheckName(name)
		}
		switch _, twice := out.names[name]; {
		case err != nil:
			return ttls{}, fmt.Errorf("%q: %w", item, err)
		case twice || !named && out.all != 0:
			return ttls{}, fmt.Errorf("%q: there is another one before", item)
		case !named:
			out.all = d
			continue
		case out.names == nil:
			out.names = map[string]time.Duration{}
		}
		out.names[name] = d
	}
	return out, nil
}

func parseTTL(text string) (time.Duration, error) {
	if text == "never" {
		return options.NoLimit, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, errors.New("it is no duration such as 15m, and not never")
	}
	if d == 0 {
		return 0, errors.New("it is 0; never stands for no TTL")
	}
	if err := lifetime.Check(d); err != nil {
		return 0, fmt.Errorf("it %w", err)
	}
	return d, nil
}

// checkTTL returns an error if an option or a variable cannot have this value.
func checkTTL(d time.Duration) error {
	if d == options.NoLimit {
		return nil
	}
	if err := lifetime.Check(d); err != nil {
		return fmt.Errorf("%w, or metric.NoLimit for never", err)
	}
	return nil
}

// startJanitor starts the janitor if an instrument has a TTL. The Set's lock is held, and the
// store is open.
func (s *Set) startJanitor() {
	if s.janitor != nil || s.closed {
		return
	}
	if period := s.janitorPeriod(); period > 0 {
		s.janitor = time.AfterFunc(period, s.clean)
	}
}

// janitorPeriod is how long until the next run: what the shortest TTL needs. 0 without any.
func (s *Set) janitorPeriod() (out time.Duration) {
	for _, in := range s.declared {
		if p := lifetime.Of(in.schema.TTL).Period(); p > 0 && (out == 0 || p < out) {
			out = p
		}
	}
	return out
}

// clean is a run of the janitor over all instruments that are due.
func (s *Set) clean() {
	s.look(time.Now())
	s.mu.Lock()
	defer s.mu.Unlock()
	if period := s.janitorPeriod(); !s.closed && period > 0 {
		s.janitor.Reset(period)
	} else {
		s.janitor = nil // the next instrument with a TTL starts it again
	}
}

// look has the instruments that are due by the runtime's clock looked at, or all if it is zero.
func (s *Set) look(now time.Time) {
	s.cleaning.Lock() // runs take turns, which matters to tests only
	defer s.cleaning.Unlock()
	s.mu.Lock()
	store := s.store.Load()
	var due []expirer
	for _, in := range s.declared {
		if in.schema.TTL > 0 && store != nil && !s.closed && (now.IsZero() || !now.Before(in.due)) {
			// A quarter of a period early is not too early: runs of several instruments meet.
			in.due = now.Add(lifetime.Of(in.schema.TTL).Period() * 3 / 4)
			due = append(due, in.expires)
		}
	}
	s.mu.Unlock()
	for _, v := range due {
		v.look(store)
	}
	if len(due) > 0 {
		store.Reclaim()
	}
}

// ends sets the ends of the lives that the candidates' parts are in. It returns false if the
// parts of some process could not be read: then the next run decides.
func (s *Set) ends(store *mpm.Store, schema *metric.Schema, rule lifetime.Rule, candidates []candidate) bool {
	dir := s.at.Load().dir
	if dir == "" || store.Path() == "" || schema.Type.HasMode() && schema.Mode.Base() == metric.ModeAll {
		return true // nobody else has a part
	}
	d, err := mpm.OpenDir(dir)
	if err != nil {
		return false
	}
	defer d.Close()
	numbers := make(map[string]int, len(candidates))
	for i := range candidates {
		numbers[candidates[i].series.key.text()] = i
	}
	found, err := d.ReadParts(mpm.PartsOptions{Own: filepath.Base(store.Path()), Schema: schema, Wanted: func(values []byte) int {
		if n, ok := numbers[string(values)]; ok {
			return n
		}
		return -1
	}})
	if err != nil {
		return false
	}
	parts := map[int][]mpm.FoundPart{}
	for _, f := range found {
		parts[f.Number] = append(parts[f.Number], f)
	}
	var lives lifetime.Lives
	for i, others := range parts {
		c, longest := &candidates[i], rule
		all := []lifetime.Part{c.part}
		for _, o := range others {
			all = append(all, o.Part)
			if o.TTL > longest.TTL {
				longest = lifetime.Of(time.Duration(o.TTL))
			}
		}
		lives.Divide(longest, all)
		c.end = lives.Of(&c.part).End
	}
	return true
}
