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
	// Threshold is how many dead processes there must be for them to be compacted;
	// with fewer only leftovers of killed processes are removed. Default 1. Of
	// client_python's it counts the files, and live gauges that nobody has marked
	// are compacted at once, since they are shown until then.
	Threshold int
	// KeepDead is how many dead processes keep their series in gauges and
	// states of mode all, the newest. Default 1,000; metric.KeepNone or metric.NoLimit. A lower
	// bound than the last one takes effect at the next pass, though nobody died.
	KeepDead int
	// KeepDeadFor is how long they keep them after they were compacted. Default
	// metric.NoLimit; metric.KeepNone.
	KeepDeadFor time.Duration
	// Marked compacts the files of processes without a lock once they are marked
	// dead, on filesystems whose locks cannot be trusted. By setting it, you
	// vouch that a process that was marked is gone, and that nobody else
	// compacts the directory from another machine: else updates are lost.
	Marked bool
	// Python compacts the files of client_python too, once they were set aside by
	// MarkProcessDead or no process has them open for writing. Where
	// the system does not tell, only the mark counts.
	// client_python's own collector does not see what was compacted.
	Python bool
	// DropFamilies are families that leave the archive with this pass, and with them
	// what the processes have counted that it compacts: all schemas of the name that
	// no living process has. Where living processes have every one, nothing is changed and
	// the error matches ErrInUse; where no dead one has any, it matches ErrNoFamily.
	// Files that stay, since they are damaged or nobody knows whether their processes
	// live, keep what they have. Default: none. A Compactor drops none.
	DropFamilies []string
	// Reserve keeps room in the directory for the next archive, so that a compaction needs
	// none when the filesystem is full. A Compactor always does.
	Reserve bool
	// DryRun finds out what would be compacted and changes nothing.
	DryRun bool
	// Progress is told after each file how many of all were looked at. Default: nobody is.
	Progress func(done, total int)

	// TrustUIDs and MaxFileBytes are those of Options, with the same defaults: what is
	// not read is not compacted either.
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

// LeftFile is a file that was not compacted although no process holds its lock,
// or was not removed although it was compacted; under mpm.StagedName, why no room
// could be kept.
type LeftFile struct {
	Name   string
	Reason error
}

// Errors of compacting and wiping.
var (
	// ErrBusy: somebody else wipes or compacts the directory at this moment.
	ErrBusy = compact.ErrBusy
	// ErrInUse: living processes have files in the directory, or the family that was to be
	// dropped. The text names the files.
	ErrInUse = compact.ErrInUse
	// ErrNoFamily: what CompactOptions.DropFamilies names is neither in the archive nor of
	// a dead process.
	ErrNoFamily = compact.ErrNoFamily
)

// Compact moves the values of dead processes from their files into the archive,
// and removes the files: each process exactly once, whatever is killed at
// whatever moment. No value of the merged view changes by it, but that the sum
// of a histogram or summary that held an infinity or NaN becomes finite again.
//
// It needs the right to write the directory, and is safe beside readers,
// workers and other compactors, who get ErrBusy while one is at work. The error of
// an archive that cannot be read is that of mpm.Dir.ReadArchive; then
// nothing is compacted. Where there is little space, it compacts in small steps; where
// there is not enough for one, the error matches mmapstore.ErrFull, and what is not
// compacted stays as it was. docs/lifecycle.md has the steps.
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

// Wipe discards what dead processes have counted, in their files and in the
// archive, and returns the names of the files that it removed or emptied. Where
// a process lives it changes nothing and returns ErrInUse, unless force
// is set; then it leaves the living ones' files alone and wipes the rest. A file
// without liveness counts as living until it is marked dead; one of client_python
// while a process has it open for writing, and where the system does not tell
// that, until it is marked dead or force is set.
//
// It is a compaction that keeps no value: readers see all of it or nothing. An empty
// archive stays. It needs no space; where there is none at all, the values may go file
// by file, and no archive stays. Only regular files are removed of which name and content
// are those of the formats, never through a symbolic link, never in a directory below.
// Others stay, with force too; where one has the name of the archive, nothing is wiped and
// the error matches mmapstore.ErrForeign or mmapstore.ErrNotTrusted.
func Wipe(dir string, force bool) (removed []string, err error) {
	if removed, err = compact.Wipe(dir, force); err != nil {
		return removed, fmt.Errorf("aggregate: wipe: %w", err)
	}
	return removed, nil
}
