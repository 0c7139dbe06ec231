package aggregate

import (
	"context"
	"fmt"
	"time"

	"github.com/multiprom/multiprom/aggregate/internal/compact"
	"github.com/multiprom/multiprom/metric"
)

// CompactOptions of Compact. The zero value is useful.
type CompactOptions struct {
	// Threshold is how many dead processes there must be for them to be compacted. With
	// fewer, only leftovers of killed processes are removed. Default 1. Each file of
	// client_python counts. Those with live gauges that nobody has marked are compacted at
	// once, because they are shown until then.
	Threshold int
	// KeepDead is how many dead processes, the newest ones, keep their series in gauges and
	// state sets of mode all. Default 1,000; metric.KeepNone or metric.NoLimit. A lower
	// bound takes effect at the next pass, even if nobody has died.
	KeepDead int
	// KeepDeadFor is how long they keep them after their compaction. Default
	// metric.NoLimit; metric.KeepNone.
	KeepDeadFor time.Duration
	// Marked compacts the files of processes that are marked dead, on filesystems whose
	// locks cannot be trusted. If you set it, you vouch that every marked process is gone,
	// and that nobody compacts the directory from another machine. Otherwise updates are
	// lost.
	Marked bool
	// Python also compacts the files of client_python, if MarkProcessDead has set them aside
	// or no process has them open for writing. If the system does not say whether one has,
	// only the mark counts. client_python's own collector does not see compacted values.
	Python bool
	// DropFamilies are families that the new archive leaves out, with what the processes
	// that are compacted have counted: all schemas of the name that no living process has.
	// If living processes have every one, nothing changes and the error matches ErrInUse.
	// If no dead process has any, it matches ErrNoFamily. Files that stay, because they are
	// damaged or nobody knows whether their processes live, keep what they have. Default:
	// none. A Compactor drops none.
	DropFamilies []string
	// Reserve keeps space in the directory for the next archive, for the day when the
	// filesystem is full. A Compactor always does.
	Reserve bool
	// TTL is that of Options. A series without a TTL in its file counts as updated when its process
	// is compacted.
	TTL map[string]time.Duration
	// DryRun finds out what would be compacted and changes nothing.
	DryRun bool
	// Progress is called after each file, with how many of all were looked at. Default:
	// nothing is called.
	Progress func(done, total int)

	// TrustUIDs and MaxFileBytes are those of Options, with the same defaults. A file that
	// is not read is not compacted.
	TrustUIDs    []int
	MaxFileBytes int64
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// CompactResult is what Compact did, or with DryRun would have done.
type CompactResult struct {
	Compacted []string // files whose values are in the archive now
	Processes int      // whose files those are
	Removed   []string // leftovers of killed processes and compactors
	Living    int      // processes that live, as far as one can tell
	Left      []LeftFile
	Dropped   []DroppedFamily
	Series    int           // in the archive
	Bytes     int64         // of the archive
	Took      time.Duration // until the new archive was in place
}

// DroppedFamily is a schema that was dropped from the archive.
type DroppedFamily struct {
	Name   string
	Type   metric.Type
	Mode   metric.Mode // of a gauge or state set
	Series int
}

// LeftFile is a file that was not compacted although no process holds its lock, or that was
// not removed although it was compacted. With the name archive.mpm.tmp, Reason says why no
// space could be kept for the next archive.
type LeftFile struct {
	Name   string
	Reason error
}

// Errors of compacting and wiping.
var (
	// ErrBusy: another wipe or compaction of the directory is at work.
	ErrBusy = compact.ErrBusy
	// ErrInUse: living processes have files in the directory, or have the family that was to
	// be dropped. The text names the files.
	ErrInUse = compact.ErrInUse
	// ErrNoFamily: neither the archive nor a dead process has a family that
	// CompactOptions.DropFamilies names.
	ErrNoFamily = compact.ErrNoFamily
)

// Compact moves the values of dead processes from their files into the archive, and removes
// the files: each process exactly once, whatever is killed and when. The merged view stays
// the same, except that only the newest KeepDead processes keep series of their own.
//
// It needs permission to write the directory. It is safe beside readers, workers and other
// compactors, which get ErrBusy while one is at work. If the archive cannot be read, nothing
// is compacted, and the error matches that of package mmapstore. If there is little space, it
// compacts in small steps. If there is not enough for one, the error matches
// mmapstore.ErrFull, and what is not compacted stays as it was. docs/lifecycle.md has the
// steps.
func Compact(ctx context.Context, dir string, opts CompactOptions) (*CompactResult, error) {
	r, err := compact.Run(ctx, dir, compact.Options(opts))
	if err != nil {
		return nil, fmt.Errorf("aggregate: compact: %w", err)
	}
	out := &CompactResult{
		Compacted: r.Compacted, Processes: r.Processes, Removed: r.Removed, Living: r.Living,
		Series: r.Series, Bytes: r.Bytes, Took: r.Took,
	}
	for _, l := range r.Left {
		out.Left = append(out.Left, LeftFile(l))
	}
	for _, d := range r.Dropped {
		out.Dropped = append(out.Dropped, DroppedFamily(d))
	}
	return out, nil
}

// Wipe discards what dead processes have counted, in their files and in the archive, and
// returns the names of the files that it removed or emptied. If a process lives, it changes
// nothing and returns ErrInUse. With force, it leaves the files of living processes alone and
// wipes the rest. A process whose file has no liveness counts as living until it is marked
// dead. One of client_python does while it has the file open for writing or, if the system
// does not say that, until it is marked dead or force is set.
//
// Wipe is a compaction that keeps no values: readers see all of it or nothing. An empty
// archive stays. It needs no space. If there is none at all, the values may go file by file,
// and no archive stays. Wipe removes only regular files whose name and content are of the
// formats, never through a symbolic link and never in a subdirectory. Others stay, also with
// force. If one has the name of the archive, nothing is wiped and the error matches
// mmapstore.ErrForeign or mmapstore.ErrNotTrusted.
func Wipe(dir string, force bool) (removed []string, err error) {
	if removed, err = compact.Wipe(dir, force); err != nil {
		return removed, fmt.Errorf("aggregate: wipe: %w", err)
	}
	return removed, nil
}
