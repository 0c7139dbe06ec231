package compact

import (
	"errors"
	"fmt"
	"slices"

	"github.com/multiprom/multiprom/aggregate/internal/snapshot"
	"github.com/multiprom/multiprom/aggregate/internal/sum"
	"github.com/multiprom/multiprom/metric"
)

// ErrNoFamily is aggregate.ErrNoFamily.
var ErrNoFamily = errors.New("no dead process has the family")

// Dropped is aggregate.DroppedFamily.
type Dropped struct {
	Name   string
	Type   metric.Type
	Mode   metric.Mode // of a gauge or state set
	Series int
}

// drop takes the named families out of the new archive: every schema of the name that no
// living process has.
func (p *pass) drop() error {
	if len(p.opts.DropFamilies) == 0 {
		return nil
	}
	for _, f := range p.staying() {
		if err := f.Read(); err != nil {
			return err
		}
	}
	type livingFamily struct {
		file   string
		schema *metric.Schema
	}
	var living []livingFamily // as far as one can tell
	if err := p.eachStaying(func(f *snapshot.File) {
		for _, s := range f.Families {
			living = append(living, livingFamily{f.Name, s})
		}
	}); err != nil {
		return err
	}
	for _, name := range p.opts.DropFamilies {
		known, some := false, false
		inUse := &InUseError{Dir: p.dir.Path(), Family: name}
		p.sum.families = slices.DeleteFunc(p.sum.families, func(f *familyBuilder) bool {
			if !isNamed(f.Schema, name) {
				return false
			}
			known = true
			var files []string
			for _, l := range living {
				if l.schema.Name == f.Schema.Name && sum.Compatible(l.schema, f.Schema) {
					files = append(files, l.file)
				}
			}
			if len(files) > 0 {
				inUse.Files = append(inUse.Files, files...)
				return false
			}
			some = true
			p.result.Dropped = append(p.result.Dropped, Dropped{f.Schema.Name, f.Schema.Type, f.Schema.Mode, len(f.series)})
			return true
		})
		switch {
		case !known:
			return fmt.Errorf("%w: %s", ErrNoFamily, name)
		case !some:
			return inUse
		}
	}
	return nil
}

// isNamed reports whether that is the family's name, or that of a counter's sample.
func isNamed(s *metric.Schema, name string) bool {
	return s.Name == name || s.Type == metric.Counter && s.Name+"_total" == name
}
