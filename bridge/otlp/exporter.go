package otlp

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/multiprom/multiprom/bridge/delivery"
	"github.com/multiprom/multiprom/bridge/internal/send"
	"github.com/multiprom/multiprom/gather"
	"github.com/multiprom/multiprom/internal/machine"
	"github.com/multiprom/multiprom/internal/options"
	"github.com/multiprom/multiprom/metric"
)

// Options of New. URL is required. Without a path it gets /v1/metrics.
type Options struct {
	delivery.Options

	// Resource has the attributes of the resource. An empty value leaves one out. Default:
	// service.name is the name of the program, host.name that of the host, and
	// service.instance.id an ID that is made of both, and so survives restarts.
	Resource map[string]string
}

// Exporter sends to one receiver. Only one of its methods Push and Run may run at a time.
type Exporter struct{ pipe *send.Pipe }

// New returns an Exporter. It sends nothing yet. The error names the invalid option.
func New(opts Options) (*Exporter, error) {
	var c options.Checker
	for name, value := range opts.Resource {
		if name == "" || !utf8.ValidString(name) || !utf8.ValidString(value) {
			c.Failf("Resource", "has %q, which is empty or not UTF-8", name)
		}
	}
	if err := c.Err(); err != nil {
		return nil, fmt.Errorf("otlp: %w", err)
	}
	opts.URL = withPath(opts.URL)
	e := &encoder{resource: appendResource(nil, resource(opts.Resource))}
	pipe, err := send.New("otlp", opts.Options, e)
	if err != nil {
		return nil, err
	}
	e.maxSamples, e.maxBytes = pipe.Bounds()
	return &Exporter{pipe}, nil
}

// withPath adds the path of metrics to a URL without a path.
func withPath(raw string) string {
	if raw == "" {
		return ""
	}
	if !strings.Contains(raw, "://") {
		raw = "http://" + raw
	}
	if u, err := url.Parse(raw); err == nil && strings.Trim(u.Path, "/") == "" {
		u.Path = "/v1/metrics"
		return u.String()
	}
	return raw
}

// resource returns the attributes with the defaults.
func resource(attributes map[string]string) metric.Labels {
	all := map[string]string{"service.name": filepath.Base(os.Args[0])}
	if host, err := os.Hostname(); err == nil {
		all["host.name"] = host
	}
	if name := attributes["service.name"]; name != "" {
		all["service.name"] = name
	}
	all["service.instance.id"] = machine.ID(all["host.name"], all["service.name"])
	maps.Copy(all, attributes)
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
func (e *Exporter) Push(ctx context.Context, g gather.Gatherer) error { return e.pipe.Push(ctx, g) }

// Run sends at once and then at every interval until ctx ends. Then it sends the last values,
// and for every series that it has ended. It logs what fails, and returns an error only if the
// queue cannot be opened or closed.
func (e *Exporter) Run(ctx context.Context, g gather.Gatherer) error { return e.pipe.Run(ctx, g) }

// Gather returns the Exporter's own metrics.
func (e *Exporter) Gather(ctx context.Context) ([]*metric.Family, error) { return e.pipe.Gather(ctx) }
