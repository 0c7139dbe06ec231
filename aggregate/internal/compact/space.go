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

// What a pass does if the filesystem is full (docs/lifecycle.md, "When the disk is full"). To
// free space it must first write an archive, and until that is complete, the old one and the
// files in it stay.

// commit replaces the archive by one with the dead: all of them, or as many as there is
// space for. more says that some are left.
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
		pruned := len(kept) < len(p.sum.processes) // also if nobody has died: the bounds may be new
		if p.opts.DryRun || len(p.compacted) == 0 && len(p.result.Dropped) == len(before.Dropped) && p.sum.ended == 0 && !isMuch(p.sum.expired, p.sum.expired+p.sum.size()) && len(p.python.revived) == 0 && !pruned {
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

// fewer sorts the dead by the size of their files, the smallest first, and returns how many
// to try after n were too many. It returns 0 if no smaller step is possible.
//
// Those that have removed series come last and go together. They are the evidence that the
// life of such a series is over, as long as a file with an older part of it stays.
func (p *pass) fewer(dead []candidate, n int) int {
	const last = 1 << 62
	sizes := make(map[string]int64, len(dead))
	alone := 0
	for _, c := range dead {
		sizes[c.name], _ = p.dir.Allocated(c.name) // an error shows again when the file is compacted
		if c.ends {
			sizes[c.name] += last
		} else {
			alone++
		}
	}
	slices.SortStableFunc(dead, func(a, b candidate) int { return cmp.Compare(sizes[a.name], sizes[b.name]) })
	return min(n/2, alone)
}

// trim releases space in dead processes' files that they have never used, and reports whether
// there was any.
func (p *pass) trim(dead []candidate) (some bool) {
	for _, c := range dead {
		if c.python != "" {
			continue
		}
		// If that fails, it only frees nothing.
		n, err := p.dir.Trim(c.name, p.read)
		some = some || err == nil && n > 0
	}
	Failpoint("trimmed")
	return some
}

// reserve keeps space for the next archive: for one somewhat larger than this one, or as
// large as the largest file of a living process, if that is more. Otherwise there may be
// none when it is needed. If it fails, nothing is wrong yet.
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

// discard replaces the archive by one without values. If there is no space for it, it
// removes files that are to be wiped until there is. Then a reader may see some of their
// values gone before the others.
func (p *pass) discard(a *mpm.Archive) error {
	err := p.write(a)
	if !errors.Is(err, mpm.ErrFull) {
		return err
	}
	// First go files that do not count: those that the old archive has consumed, and those
	// that never got their names.
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
	// Only the archive is left, and unlinking it is the commit.
	if err := p.dir.Remove(mpm.ArchiveName); err != nil {
		return err
	}
	Failpoint("unlinked")
	p.result.Bytes = 0
	return p.dir.SyncDir()
}
