package remotewrite

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/multiprom/multiprom/bridge/delivery"
	"github.com/multiprom/multiprom/bridge/internal/send"
	"github.com/multiprom/multiprom/gather"
	"github.com/multiprom/multiprom/internal/form"
	"github.com/multiprom/multiprom/internal/options"
	"github.com/multiprom/multiprom/metric"
)

// Options of New. URL is required.
type Options struct {
	delivery.Options

	// Labels are added to every series, except to a series that already has a label of that
	// name. job and instance are there by default: the name of the program and the host. An
	// empty value leaves the label out.
	Labels map[string]string
	// Protocol is the version of remote write: 1.0, 2.0 or auto. Default auto: 2.0, or 1.0
	// if the receiver does not take that.
	Protocol string
	// NativeHistograms says when native buckets are sent: auto, always or never. Default auto:
	// in version 2.0, since receivers of 1.0 may refuse whole requests because of them. If
	// they are not sent, a histogram with only native buckets has the bucket +Inf, sum and
	// count.
	NativeHistograms string
}

// Writer sends to one receiver. Only one of its methods Push and Run may run at a time.
type Writer struct{ pipe *send.Pipe }

// New returns a Writer. It sends nothing yet. The error names the invalid option.
func New(opts Options) (*Writer, error) {
	var c options.Checker
	e := &encoder{auto: true}
	e.version.Store(2)
	switch opts.Protocol {
	case "", "auto":
	case "2.0":
		e.auto = false
	case "1.0":
		e.auto = false
		e.version.Store(1)
	default:
		c.Failf("Protocol", "is %q: use 1.0, 2.0 or auto", opts.Protocol)
	}
	switch opts.NativeHistograms {
	case "", nativeAuto, nativeAlways, nativeNever:
		e.native = opts.NativeHistograms
	default:
		c.Failf("NativeHistograms", "is %q: use auto, always or never", opts.NativeHistograms)
	}
	e.external = external(&c, opts.Labels)
	if err := c.Err(); err != nil {
		return nil, fmt.Errorf("remotewrite: %w", err)
	}
	pipe, err := send.New("remotewrite", opts.Options, e)
	if err != nil {
		return nil, err
	}
	e.maxSamples, e.maxBytes = pipe.Bounds()
	return &Writer{pipe}, nil
}

// external returns the labels that are added to every series.
func external(c *options.Checker, labels map[string]string) metric.Labels {
	all := map[string]string{"job": filepath.Base(os.Args[0])}
	if host, err := os.Hostname(); err == nil {
		all["instance"] = host
	}
	for name, value := range labels {
		if !form.IsLegacyLabelName(name) || strings.HasPrefix(name, "__") {
			c.Failf("Labels", "has %q, which is not a valid label name: use letters, digits and underscores, and start with neither a digit nor two underscores", name)
		}
		all[name] = value
	}
	for name, value := range all {
		if value == "" {
			delete(all, name)
		}
	}
	return metric.LabelsFromMap(all)
}

// Push sends what g yields, once. If g fails, nothing is sent. It tries again until ctx or
// Timeout ends. An *exposition.OmissionError says that some series were left out because their
// names were taken; everything else was sent.
func (w *Writer) Push(ctx context.Context, g gather.Gatherer) error { return w.pipe.Push(ctx, g) }

// Run sends at once and then at every interval until ctx ends. Then it sends the last values
// and a staleness marker for every series. It logs what fails, and returns an error only if
// the queue cannot be opened or closed.
func (w *Writer) Run(ctx context.Context, g gather.Gatherer) error { return w.pipe.Run(ctx, g) }

// Gather returns the Writer's own metrics.
func (w *Writer) Gather(ctx context.Context) ([]*metric.Family, error) { return w.pipe.Gather(ctx) }
