package supervisor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/internal/pyfile"
)

// OnStart says what a supervisor does at its start with the files of an earlier run.
// They never count as files of this run: processes are told apart by a random
// incarnation, not by their PIDs.
type OnStart int

const (
	// OnStartCompact keeps what earlier processes counted, so counters continue. The
	// default.
	OnStartCompact OnStart = iota
	// OnStartWipe starts at zero. Run fails if a process of an earlier run still lives.
	OnStartWipe
	// OnStartRefuse makes Run fail if the directory holds metrics of an earlier run.
	OnStartRefuse
)

var onStartNames = []string{"compact", "wipe", "refuse"}

// String returns the word that UnmarshalText accepts.
func (o OnStart) String() string {
	if o < 0 || int(o) >= len(onStartNames) {
		return fmt.Sprintf("OnStart(%d)", int(o))
	}
	return onStartNames[o]
}

// UnmarshalText sets o to the OnStart for compact, wipe or refuse.
func (o *OnStart) UnmarshalText(word []byte) error {
	for i, name := range onStartNames {
		if string(word) == name {
			*o = OnStart(i)
			return nil
		}
	}
	return fmt.Errorf("%w: %q is not one of compact, wipe, refuse", errOptions, word)
}

// ErrNotEmpty says that the directory holds files of an earlier run, and that
// Options.OnStart is OnStartRefuse.
var ErrNotEmpty = errors.New("supervisor: directory holds the metrics of an earlier run")

// prepareDir handles what an earlier run left.
func (s *Supervisor) prepareDir(ctx context.Context) error {
	if s.opt.Dir == "" {
		return nil
	}
	s.opt.restoreDir()
	switch s.opt.OnStart {
	case OnStartWipe:
		removed, err := s.wipe(ctx)
		if err != nil {
			return fmt.Errorf("supervisor: wipe at the start: %w", err)
		}
		s.opt.Logger.Info("wiped the metrics of an earlier run", "files", len(removed))
	case OnStartRefuse:
		return s.refuse()
	default:
		opts := s.opt.Compact.CompactOptions
		opts.Threshold, opts.Reserve = 1, !s.opt.NoCompact
		r, err := aggregate.Compact(ctx, s.opt.Dir, opts)
		switch {
		case errors.Is(err, aggregate.ErrBusy):
		case err != nil:
			// Keep the service running without its metrics. Scrapes report the same
			// error.
			s.opt.Logger.Error("cannot compact the metrics of an earlier run", "error", err)
		case len(r.Compacted) > 0:
			s.opt.Logger.Info("compacted the metrics of an earlier run", "processes", len(r.Compacted))
		}
	}
	return nil
}

// busyPatience is how long the start waits for another compaction of the directory,
// such as that of an `mpctl serve` that starts at the same moment.
const busyPatience = 10 * time.Second

// wipe wipes the directory once no other compaction holds its lock.
func (s *Supervisor) wipe(ctx context.Context) (removed []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, busyPatience)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		removed, err = aggregate.Wipe(s.opt.Dir, false)
		if !errors.Is(err, aggregate.ErrBusy) {
			return removed, err
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return removed, err
		}
	}
}

func (s *Supervisor) refuse() error {
	d, err := mpm.OpenDir(s.opt.Dir)
	if err != nil {
		return fmt.Errorf("supervisor: %w", err)
	}
	defer d.Close()
	entries, err := d.Entries()
	if err != nil {
		return fmt.Errorf("supervisor: %w", err)
	}
	for _, e := range entries {
		if holdsMetrics(d, e) {
			return fmt.Errorf("%w: %s has %s; keep it with OnStartCompact, or wipe the directory", ErrNotEmpty, s.opt.Dir, e.Name)
		}
	}
	return nil
}

// holdsMetrics reports whether a file is from an earlier run. The content decides,
// because other programs may use the same name. A file that cannot be checked counts.
func holdsMetrics(d *mpm.Dir, e mpm.Entry) bool {
	switch {
	case e.Kind == mpm.KindOther, e.Name == mpm.StagedName:
		return false
	case e.Kind == mpm.KindPython:
		content, err := pyfile.Look(d, e.Name, mpm.ReadOptions{MaxBytes: mpm.NoLimit})
		return err != nil || content == pyfile.Records
	}
	return !errors.Is(d.Recognize(e.Name), mpm.ErrForeign)
}

// startCompactor compacts dead workers until stop is called.
func (s *Supervisor) startCompactor() (stop func()) {
	if s.compactor == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.compactor.Run(ctx)
	}()
	return func() {
		cancel()
		<-ended
	}
}
