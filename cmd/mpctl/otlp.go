package main

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/multiprom/multiprom/bridge/otlp"
	"github.com/multiprom/multiprom/internal/machine"
)

func newOTLP() *cobra.Command {
	var e exit
	var f deliveryFlags
	cmd := &cobra.Command{
		Use:   "otlp [URL]",
		Short: "send the merged metrics to an OpenTelemetry Collector",
		Long: `Send the merged metrics of a directory by OTLP over HTTP, to an OpenTelemetry
Collector, Prometheus or another receiver. A URL without a path gets
/v1/metrics. With --every, series that are gone are marked, and at the end all
are.

What could not be sent is replaced by the newest values, or kept in --queue.

Flags have precedence over OpenTelemetry's variables: OTEL_SERVICE_NAME,
OTEL_RESOURCE_ATTRIBUTES, and OTEL_EXPORTER_OTLP_ENDPOINT, _HEADERS, _TIMEOUT,
_CERTIFICATE, _CLIENT_CERTIFICATE and _CLIENT_KEY, also with METRICS, as in
OTEL_EXPORTER_OTLP_METRICS_ENDPOINT. service.name is the name of the directory,
and service.instance.id an ID of host and directory, which restarts keep.`,
		Example: `  mpctl otlp http://collector.example:4318 --dir /dev/shm/app
  mpctl otlp https://collector.example --every 15s --token-file token \
    --resource deployment.environment.name=production --queue /var/lib/app/queue`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return unexpected(cmd, args[1])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			f.opts.Interval = e.every
			return send(cmd, &e, func(dir string) (sender, error) {
				to := ""
				if len(args) > 0 {
					to = args[0]
				}
				return f.newOTLP(cmd, to, dir, os.Getenv)
			})
		},
	}
	e.addFlags(cmd)
	f.add(cmd, "")
	f.addResource(cmd, "resource")
	return cmd
}

// addResource adds the flag for attributes of the resource.
func (f *deliveryFlags) addResource(cmd *cobra.Command, name string) {
	cmd.Flags().StringToStringVar(&f.resource, name, nil, "attribute of the OTLP resource, `NAME=VALUE`; may be repeated")
	obey(cmd, notEmpty, name)
}

func (f *deliveryFlags) newOTLP(cmd *cobra.Command, to, dir string, getenv func(string) string) (sender, error) {
	opts := otlp.Options{Options: f.opts}
	opts.URL, opts.Logger = to, newLog(cmd)
	env := otelEnv{getenv: getenv}
	if opts.URL == "" {
		opts.URL = env.endpoint()
	}
	if opts.URL == "" {
		return nil, misused(cmd, "URL is missing: give it, or set OTEL_EXPORTER_OTLP_ENDPOINT")
	}
	headers := env.pairs(env.exporter("HEADERS"))
	maps.Copy(headers, f.opts.Headers)
	opts.Headers = headers
	if variable, ms := env.exporter("TIMEOUT"); ms != "" && !cmd.Flags().Changed("timeout") && !cmd.Flags().Changed("send-timeout") {
		n, err := strconv.Atoi(ms)
		if err != nil || n <= 0 {
			env.fail(variable, errors.New("it must be a number of milliseconds"))
		}
		opts.Timeout = time.Duration(n) * time.Millisecond
	}
	for name, file := range map[string]*string{"CERTIFICATE": &opts.TLS.CAFile, "CLIENT_CERTIFICATE": &opts.TLS.CertFile, "CLIENT_KEY": &opts.TLS.KeyFile} {
		if *file == "" {
			_, *file = env.exporter(name)
		}
	}
	opts.Resource = f.attributes(&env, dir)
	if env.err != nil {
		return nil, env.err
	}
	return otlp.New(opts)
}

// attributes returns the attributes of the resource.
func (f *deliveryFlags) attributes(env *otelEnv, dir string) map[string]string {
	out := map[string]string{}
	host, _ := os.Hostname() // without one, the directory alone makes the ID
	if path, err := filepath.Abs(dir); err == nil {
		out["service.name"], out["service.instance.id"] = filepath.Base(path), machine.ID(host, path)
	}
	maps.Copy(out, env.pairs("OTEL_RESOURCE_ATTRIBUTES", env.getenv("OTEL_RESOURCE_ATTRIBUTES")))
	if name := env.getenv("OTEL_SERVICE_NAME"); name != "" {
		out["service.name"] = name
	}
	maps.Copy(out, f.labels)
	maps.Copy(out, f.resource)
	return out
}

// otelEnv reads OpenTelemetry's variables.
type otelEnv struct {
	getenv func(string) string
	err    error // the first one
}

func (e *otelEnv) fail(name string, err error) {
	if e.err == nil {
		e.err = fmt.Errorf("%s: %w", name, err)
	}
}

// exporter returns a variable of the exporter and its value. One for metrics has precedence.
func (e *otelEnv) exporter(name string) (variable, value string) {
	for _, variable = range []string{"OTEL_EXPORTER_OTLP_METRICS_" + name, "OTEL_EXPORTER_OTLP_" + name} {
		if value = e.getenv(variable); value != "" {
			break
		}
	}
	return variable, value
}

// endpoint returns the URL. That for all signals gets the path of metrics.
func (e *otelEnv) endpoint() string {
	if v := e.getenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"); v != "" {
		return v
	}
	if v := e.getenv("OTEL_EXPORTER_OTLP_ENDPOINT"); v != "" {
		return strings.TrimRight(v, "/") + "/v1/metrics"
	}
	return ""
}

// pairs parses "name=value,name=value", in which values are percent-encoded.
func (e *otelEnv) pairs(variable, text string) map[string]string {
	out := map[string]string{}
	for part := range strings.SplitSeq(text, ",") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		name, value, ok := strings.Cut(part, "=")
		decoded, err := url.PathUnescape(strings.TrimSpace(value))
		if name = strings.TrimSpace(name); !ok || name == "" || err != nil {
			e.fail(variable, errors.New("it must be NAME=VALUE,NAME=VALUE"))
			continue
		}
		out[name] = decoded
	}
	return out
}
