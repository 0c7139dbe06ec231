package multiproc

import (
	"context"
	"log/slog"

	"github.com/multiprom/multiprom/internal/mpm"
)

// notice is a line for the log.
type notice struct {
	level slog.Level
	text  string
	args  []any
}

// tell keeps a line for the log until unlock, in a process that opens the store.
func (s *Set) tell(level slog.Level, text string, args ...any) {
	s.untold = append(s.untold, notice{level, text, args})
}

// noticeDeleted checks whether the store knows that its file is gone.
func (s *Set) noticeDeleted() {
	store := s.store.Load()
	if store == nil || s.fallback != nil {
		return
	}
	if err := store.Deleted(); err != nil {
		s.fallback = err
		s.tell(slog.LevelError, "somebody deleted the metrics file: what this process counts is in no scrape but its own until it restarts; "+
			"systemd-tmpfiles cleans /tmp, RemoveIPC=yes of logind /dev/shm", "error", err)
	}
}

// unlock ends a section that may have opened the store or added to it. It writes to the
// log after it has given back the lock, since a log handler may update an instrument of
// this Set.
func (s *Set) unlock() {
	var notices []notice
	s.noticeDeleted()
	if s.Opened() {
		notices, s.untold = s.untold, nil
	}
	s.mu.Unlock()
	if len(notices) == 0 {
		return
	}
	logger := s.opts.Logger
	if logger == nil {
		logger = slog.Default() // of now: main may have set it after the Set was made
	}
	for _, n := range notices {
		logger.Log(context.Background(), n.level, "multiproc: "+n.text, n.args...)
	}
}

// say writes to the log that the file is gone, after a series was added to the store. As
// long as the file is there, it costs one load. A goroutine of its own writes: the caller
// may hold a lock that the log handler waits for, as client_golang's MetricVec does while
// it makes a metric.
func (s *Set) say() {
	if store := s.store.Load(); store != nil && store.Deleted() != nil {
		s.saying.Do(func() {
			go func() {
				s.mu.Lock()
				s.unlock()
			}()
		})
	}
}

// warnOfDir writes to the log what can make the merged view wrong: that anybody may delete
// and replace files, or that no process can see which others have died. A directory that
// is not in memory only costs time. mpctl and the supervisor say that, instead of each of
// many workers.
func (s *Set) warnOfDir() {
	warnings, err := mpm.CheckDir(s.at.Load().dir)
	if err != nil {
		return // the file is there, so this can only be a race
	}
	for _, w := range warnings {
		if w.Kind != mpm.WarnDisk {
			s.tell(slog.LevelWarn, "directory "+w.Text)
		}
	}
}
