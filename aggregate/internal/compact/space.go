package compact

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/multiprom/multiprom/internal/mpm"
)

// What a pass does where the filesystem is full (docs/lifecycle.md, "When the disk is
// full"): to free space it must first write an archive, and while that is written the
// old one and the files in it are still there.

// commit puts an archive with the dead in the place of the old one: all of them, or
// as many as there is room for. more says that some are left.
func (p *pass) commit(ctx context.Context) (more bool, err error) {
	dead, before, trimmed := p.dead, p.result, false
	for n := len(dead); ; {
		p.result = before
		if err := p.add(ctx, dead[:n]); err != nil {
			return false, err
		}
		if err := p.drop(); err != nil {
			return false, err
		}
		p.result.Living, p.result.Series, p.result.Bytes = len(p.living)+len(p.python.living), p.sum.size(), p.old.Bytes
		now := p.opts.Now()
		kept := p.sum.Prune(now, p.opts.KeepDead, p.opts.KeepDeadFor)
		pruned := len(kept) < len(p.sum.processes) // nobody need have died for that: the bounds may be new
		if p.opts.DryRun || len(p.compacted) == 0 && len(p.result.Dropped) == len(before.Dropped) && p.sum.ended == 0 && len(p.python.revived) == 0 && !pruned {
			return false, nil
		}
		a := p.sum.Archive(now, kept)
		p.result.Series = 0
		for i := range a.Families {
			p.result.Series += a.Families[i].Series.Len()
		}
		a.Compactions++
		a.Compacted += uint64(p.result.Processes - before.Processes)
		a.CompactTime += time.Since(p.started)
		err := p.write(a)
		if !errors.Is(err, mpm.ErrFull) {
			return n < len(dead), err
		}
		if !trimmed {
			if trimmed = true; p.trim(dead) {
				continue
			}
		}
		// Those that could not be read take no part in a smaller step.
		dead = slices.DeleteFunc(slices.Clone(dead), func(c candidate) bool {
			return slices.ContainsFunc(p.result.Left, func(l Left) bool { return l.Name == c.name })
		})
		before.Left = p.result.Left
		if n = p.fewer(dead, min(n, len(dead))); n == 0 || len(p.opts.DropFamilies) > 0 { // those leave all at once
			return false, fmt.Errorf("%w; make room in that filesystem, or give up what dead processes counted with `mpctl wipe`", err)
		}
	}
}

// fewer puts those of the dead first whose files are small, and returns how many of
// them are to be tried after n were too many; 0 where no smaller step is possible.
//
// Those that have removed series come last and go together: while a file with an
// older part of such a series stays, theirs is the evidence that its life is over.
func (p *pass) fewer(dead []candidate, n int) int {
	sizes := make(map[string]int64, len(dead))
	alone := 0
	for _, c := range dead {
		sizes[c.name], _ = p.dir.Allocated(c.name) // what cannot be asked is looked at when it is compacted
		if len(c.ends) == 0 {
			alone++
		}
	}
	slices.SortStableFunc(dead, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(min(1, len(a.ends)), min(1, len(b.ends))), cmp.Compare(sizes[a.name], sizes[b.name]))
	})
	return min(n/2, alone)
}

// trim gives back the room in dead processes' files that they have never used, and
// reports whether there was some.
func (p *pass) trim(dead []candidate) (some bool) {
	for _, c := range dead {
		if c.python != "" {
			continue
		}
		// Where it is not possible, there is just no room.
		n, err := p.dir.Trim(c.name, p.read)
		some = some || err == nil && n > 0
	}
	Failpoint("trimmed")
	return some
}

// reserve keeps room for the next archive: as large as this one and somewhat more,
// or as the largest file of a process that lives, whichever is more. Without it there
// may be none once it is needed. A failure to do so harms nothing now.
func (p *pass) reserve() {
	n := p.result.Bytes + p.result.Bytes/8
	for _, f := range p.living {
		if info, err := os.Lstat(p.dir.Join(f.Name)); err == nil {
			n = max(n, info.Size())
		}
	}
	n = (n/mpm.BlockSize + 1) * mpm.BlockSize
	if err := p.dir.Reserve(n, p.read); err != nil {
		p.leave(mpm.StagedName, err)
	}
	Failpoint("reserved")
}

// discard puts an archive without values in the place of the old one. It needs no
// space. Where there is none, it takes that of files that are to be wiped: then a
// reader may see some of their values gone before the others.
func (p *pass) discard(a *mpm.Archive) error {
	err := p.write(a)
	if !errors.Is(err, mpm.ErrFull) {
		return err
	}
	// What the old archive has consumed does not count, and neither does a file
	// that never got its name.
	dead := slices.Clone(p.dead)
	first := slices.DeleteFunc(slices.Clone(dead), func(c candidate) bool { return !p.old.HasConsumed(c.inc) })
	dead = slices.DeleteFunc(dead, func(c candidate) bool { return p.old.HasConsumed(c.inc) })
	var failed error
	for _, c := range first {
		failed = errors.Join(failed, p.remove(c.name))
	}
	for _, name := range p.trash {
		failed = errors.Join(failed, p.remove(name))
	}
	p.trim(dead)
	for {
		if err = p.write(a); !errors.Is(err, mpm.ErrFull) {
			return err
		}
		if len(dead) == 0 {
			break
		}
		failed = errors.Join(failed, p.remove(dead[0].name))
		Failpoint("discarded")
		dead = dead[1:]
	}
	if failed != nil {
		return errors.Join(err, failed) // without the archive, what stays would count
	}
	// Nothing but the archive is left: to unlink it is the commit.
	if err := p.dir.Remove(mpm.ArchiveName); err != nil {
		return err
	}
	Failpoint("unlinked")
	p.result.Bytes = 0
	return p.dir.SyncDir()
}
