package multiproc

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"

	"github.com/multiprom/multiprom/internal/beside"
	"github.com/multiprom/multiprom/internal/environ"
	"github.com/multiprom/multiprom/internal/mpm"
)

// EnvDir is the environment variable with the directory of the default Set. Without it the
// Set is on the heap. MULTIPROM_PROCESS_ID and MULTIPROM_FILE_MODE, in octal, are
// SetOptions.ProcessID and FileMode of the default Set. MULTIPROM_TTL is its SetOptions.TTL,
// such as 15m, or a list that gives metrics others by name: 15m,http_requests_total=1h,jobs=never.
// All are read when its store opens, at Open or at the first update, so main may set them after
// package variables have declared instruments.
const EnvDir = environ.Dir

// ErrTooLate: an environment variable was changed after the default Set had opened its
// store, or after compat/prom had made metrics without a directory. This process has
// counted elsewhere.
var ErrTooLate = errors.New("too late")

// Default returns the Set of the package-level constructors. Its values are in
// $PROMETHEUS_MULTIPROC_DIR, or on the heap if that is empty. The environment is read when
// the store opens, and not before.
func Default() *Set { return defaultSet() }

var defaultSet = sync.OnceValue(func() *Set { return environmentSet(os.Getenv) })

func environmentSet(getenv func(string) string) *Set {
	s := NewSet(SetOptions{})
	s.getenv = getenv
	return s
}

// Open makes this process a worker: it opens the store of the default Set. Without Open,
// the first update does that. See Set.Open.
func Open() error { return Default().Open() }

// place is where a Set's values are, and as whose.
type place struct {
	dir  string // empty: the heap
	id   string // of the process; empty: the pid
	mode os.FileMode
	ttl  ttls
	text string // of the variable that ttl is from
}

// Dir returns the directory, or "" for a Set on the heap. For the default Set it is what
// the environment says now, until the store opens and fixes it.
func (s *Set) Dir() string {
	if at := s.at.Load(); at != nil {
		return at.dir
	}
	at, _ := s.place()
	return at.dir
}

// place returns what the options, or the environment at this moment, say. The error
// is about all but the directory, which is always right.
func (s *Set) place() (place, error) {
	at := place{dir: s.opts.Dir, id: s.opts.ProcessID, mode: s.opts.FileMode}
	if s.getenv == nil {
		return at, s.invalid
	}
	if at.dir = s.getenv(EnvDir); at.dir == "" {
		at.dir = s.getenv(environ.DirLower)
	}
	at.id = s.getenv(environ.ProcessID)
	if err := mpm.CheckProcessID(at.id); err != nil {
		return at, fmt.Errorf("%s: %w", environ.ProcessID, err)
	}
	if octal := s.getenv(environ.FileMode); octal != "" {
		var err error
		if at.mode, err = mpm.ParseFileMode(octal); err != nil {
			return at, fmt.Errorf("%s: %w", environ.FileMode, err)
		}
	}
	if text := s.getenv(environ.TTL); text != "" {
		var err error
		if at.ttl, err = parseTTLs(text); err != nil {
			return at, fmt.Errorf("%s: %w", environ.TTL, err)
		}
		at.text = text
	}
	return at, nil
}

// settle fixes the place. Later changes of the environment have no effect.
func (s *Set) settle(at place) {
	if s.getenv != nil && at.dir != "" && s.getenv(EnvDir) == "" {
		s.tell(slog.LevelWarn, environ.DirLower+" is an old spelling, use "+EnvDir)
	}
	s.at.Store(&at)
}

// early returns an error if there is a directory now and compat/prom has made metrics
// when there was none: these are client_golang's own, of this process only.
func (s *Set) early(at place) error {
	if s.getenv == nil || at.dir == "" || !beside.Any() {
		return nil
	}
	return fmt.Errorf("%w: %s is %q now, but compat/prom has made metrics without it, which are of this process only: "+
		"set it before the program starts", ErrTooLate, EnvDir, at.dir)
}

// changed returns an error if the environment says something else than when the store
// opened. A variable that is not set any more is no change.
func (s *Set) changed() error {
	now, err := s.place()
	if err != nil {
		return err
	}
	at := *s.at.Load()
	if err := s.early(at); err != nil {
		return err
	}
	for _, v := range []struct{ name, was, is string }{
		{EnvDir, at.dir, now.dir},
		{environ.ProcessID, at.id, now.id},
		{environ.FileMode, fmt.Sprintf("%04o", at.mode), fmt.Sprintf("%04o", now.mode)},
		{environ.TTL, at.text, now.text},
	} {
		if v.is == v.was || v.is == "" || v.is == "0000" {
			continue
		}
		where := "on the heap"
		if at.dir != "" {
			where = "in " + at.dir
		}
		return fmt.Errorf("%w: %s is %q now, but this process already counts %s, with %q: set it before the first update or scrape",
			ErrTooLate, v.name, v.is, where, v.was)
	}
	return nil
}
