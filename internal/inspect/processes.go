package inspect

import (
	"context"
	"time"

	"github.com/multiprom/multiprom/internal/views"
	"github.com/multiprom/multiprom/metric"
)

// Process is a process and what was seen of it so far.
type Process struct {
	Key     string // tells it apart from all others
	Label   string // its process label
	ID      string // the label before it was made unique
	PID     int
	Kind    string
	State   string
	Slot    int // of a living process; -1 otherwise
	Created time.Time
	Files   []string
	Series  int
	Bytes   int64

	StartTime    uint64 // clock ticks since boot, 0 when unknown
	PIDNamespace uint64

	Seen    time.Time // when the reader saw it first
	Changed time.Time // when it last saw a value change; zero if it never did

	Totals []Total // of its families, sorted by name, gauges too; they must not be changed
}

// Total is what one process has of a family.
type Total struct {
	Family  string
	Counted float64 // a counter's value, or the observations of a histogram or summary
	Bytes   int64   // of the series in the process's files
}

// Sight is what is seen of a directory at one moment. It is valid until the function that gets
// it returns.
type Sight struct {
	Families  []views.Family // the merged view
	Schemas   []Family       // as Families returns them; they must not be changed
	Processes []Process

	// Changes counts, by family, the series of processes that were found changed, since the
	// first Look. A series that changes several times between two readings counts once.
	Changes map[string]uint64

	// Values returns the series of one process, by its key, as metrics of its own.
	Values func(key string) []*metric.Family

	ArchiveBytes int64
	Compacted    uint64 // processes in the archive
}

// Look calls fn, once, with what is seen of the aggregator's directory. The first one passes over
// the values of all series, for the totals. The others cost a scrape, and a little for each
// process and each value that has changed.
var Look func(ctx context.Context, aggregator any, fn func(Sight, error))
