package prefork

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/gather"
	"github.com/multiprom/multiprom/internal/options"
	"github.com/multiprom/multiprom/multiproc"
)

// ErrNoDir says that there is no directory: each child would count for itself, and
// a scrape would show one of them at random.
var ErrNoDir = errors.New("prefork: set " + multiproc.EnvDir + " or Options.Dir: without a directory a scrape shows one child only")

// Options of Master and Child. The zero value takes the directory from the
// environment, compacts it, and serves no metrics on a port of the master's.
type Options struct {
	// Dir is the directory of the children's files. The master creates it with
	// mode 0700 where it is missing, and puts it into its environment, from which
	// children have it. Default: PROMETHEUS_MULTIPROC_DIR.
	Dir string
	// MetricsAddress is host:port where the master serves the merged metrics, on
	// every path. Port 0 takes a free one. Default: none; any child can serve them
	// too.
	MetricsAddress string
	// Gatherer is what the master serves. Default: registry.Default(); if this
	// process counts elsewhere already, the directory alone.
	Gatherer gather.Gatherer
	// Compact says when and how dead children's files are compacted into the archive.
	// Its Logger is this one's. The zero value is its defaults.
	Compact aggregate.CompactorOptions
	// NoCompact leaves dead children's files alone, at the start too: something else
	// compacts the directory.
	NoCompact bool
	// Logger gets failures and what was compacted; nil logs nothing.
	Logger *slog.Logger
}

func (o Options) withDefaults() (Options, error) {
	var c options.Checker
	if o.Gatherer != nil && o.MetricsAddress == "" {
		c.Failf("Gatherer", "is set, and MetricsAddress does not say where to serve it")
	}
	if _, err := aggregate.NewCompactor(".", o.Compact); err != nil { // looks at no directory
		c.Failf("Compact", "is invalid: %v", err)
	}
	if err := c.Err(); err != nil {
		return o, fmt.Errorf("prefork: %w", err)
	}
	if o.Dir == "" {
		o.Dir = multiproc.Default().Dir()
	}
	if o.Dir == "" {
		return o, ErrNoDir
	}
	var err error
	if o.Dir, err = filepath.Abs(o.Dir); err != nil {
		return o, err
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.Compact.Logger = o.Logger
	return o, nil
}
