package aggregate

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/multiprom/multiprom/metric"
)

// ErrNoFamily: what CompactOptions.DropFamilies names is neither in the archive nor of a
// dead process.
var ErrNoFamily = errors.New("no dead process has the family")

// FamilyInUseError says that living processes have a family that was to be dropped. It
// matches ErrInUse.
type FamilyInUseError struct {
	Dir, Family string
	Files       []string
}

func (e *FamilyInUseError) Error() string {
	return fmt.Sprintf("living processes in %s have the family %s: %s", e.Dir, e.Family, strings.Join(e.Files, ", "))
}

// Is reports whether target is ErrInUse.
func (e *FamilyInUseError) Is(target error) bool { return target == ErrInUse }

// DroppedFamily is a schema that was dropped from the archive.
type DroppedFamily struct {
	Name   string
	Type   metric.Type
	Mode   metric.Mode // of a gauge or state set
	Series int
}

// drop takes the families that were named out of what becomes the archive: every
// schema that no living process has.
func (p *pass) drop() error {
	if len(p.opts.DropFamilies) == 0 {
		return nil
	}
	living, err := p.livingFamilies()
	if err != nil {
		return err
	}
	for _, name := range p.opts.DropFamilies {
		known, dropped := false, false
		inUse := &FamilyInUseError{Dir: p.dir.Path(), Family: name}
		p.sum.families = slices.DeleteFunc(p.sum.families, func(f *familyBuilder) bool {
			if !isNamed(f.schema, name) {
				return false
			}
			known = true
			var files []string
			for _, l := range living {
				if l.schema.Name == f.schema.Name && compatible(l.schema, f.schema) {
					files = append(files, l.file)
				}
			}
			if len(files) > 0 {
				inUse.Files = append(inUse.Files, files...)
				return false
			}
			dropped = true
			p.result.Dropped = append(p.result.Dropped, DroppedFamily{f.schema.Name, f.schema.Type, f.schema.Mode, len(f.series)})
			return true
		})
		switch {
		case !known:
			return fmt.Errorf("%w: %s", ErrNoFamily, name)
		case !dropped:
			return inUse
		}
	}
	return nil
}

// isNamed reports whether that is the family's name, or that of a counter's sample.
func isNamed(s *metric.Schema, name string) bool {
	return s.Name == name || s.Type == metric.Counter && s.Name+"_total" == name
}

// livingFamily is a schema that a process has which lives, as far as one can tell.
type livingFamily struct {
	file   string
	schema *metric.Schema
}

func (p *pass) livingFamilies() (out []livingFamily, err error) {
	add := func(f *file) {
		for _, s := range f.families {
			out = append(out, livingFamily{f.name, s})
		}
	}
	for _, f := range slices.Concat(p.living, p.others) {
		if err := f.read(); err != nil {
			return nil, err
		}
		add(f)
	}
	return out, p.eachLivingPython(add)
}
