package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/bridge/delivery"
	"github.com/multiprom/multiprom/bridge/remotewrite"
	"github.com/multiprom/multiprom/gather"
	"github.com/multiprom/multiprom/registry"
	"github.com/multiprom/multiprom/supervisor"
)

// sender is an exit that sends at an interval and has metrics of its own.
type sender interface {
	supervisor.Exit
	gather.Gatherer
	Push(ctx context.Context, g gather.Gatherer) error
}

// deliveryFlags are the flags of remote-write and otlp, and of serve and run, which do the
// same beside their own work.
type deliveryFlags struct {
	opts        delivery.Options
	labels      map[string]string
	protocol    string
	native      string // when remote write has native buckets
	resource    map[string]string
	remoteWrite string // URL, for serve and run
	otlp        string // likewise
}

// add adds the flags. Those of serve and run begin with a word, since they are about an exit
// and not about the command.
func (f *deliveryFlags) add(cmd *cobra.Command, prefix string) {
	p := cmd.Flags()
	name := func(s string) string { return prefix + s }
	p.StringToStringVar(&f.labels, name("label"), nil, "label of every series sent, or attribute of the OTLP resource, `NAME=VALUE`; may be repeated (default job and instance)")
	p.StringVar(&f.opts.Username, name("username"), "", "user name for basic auth")
	p.StringVar(&f.opts.PasswordFile, name("password-file"), "", "file with the password for basic auth, read again for each request")
	p.StringVar(&f.opts.TokenFile, name("token-file"), "", "file with a bearer token, read again for each request")
	p.StringToStringVar(&f.opts.Headers, name("header"), nil, "header of each request, `NAME=VALUE`, such as X-Scope-OrgID=team; may be repeated")
	p.StringVar(&f.opts.TLS.CAFile, name("tls-ca"), "", "file with the CA certificates that the server's certificate is checked against (default the system's)")
	p.StringVar(&f.opts.TLS.CertFile, name("tls-cert"), "", "file with the client certificate")
	p.StringVar(&f.opts.TLS.KeyFile, name("tls-key"), "", "file with the key of the client certificate")
	p.StringVar(&f.opts.TLS.ServerName, name("tls-server-name"), "", "expected name in the server's certificate (default the URL's host)")
	p.BoolVar(&f.opts.TLS.InsecureSkipVerify, name("insecure-skip-verify"), false, "accept any certificate of the server")
	p.DurationVar(&f.opts.Timeout, name("timeout"), 30*time.Second, "time limit for one request")
	p.StringVar(&f.opts.QueueDir, name("queue"), "", "keep what could not be sent in this directory, up to 512 MiB and 2 hours")
	obey(cmd, notEmpty, name("label"), name("username"), name("header"), name("tls-server-name"), name("queue"))
	obey(cmd, existing, name("password-file"), name("token-file"), name("tls-ca"), name("tls-cert"), name("tls-key"))
	obey(cmd, longerThanZero(""), name("timeout"))
}

// addProtocol adds the flag that only remote write has.
func (f *deliveryFlags) addProtocol(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.protocol, "protocol", "auto", "version of remote write: 1.0, 2.0 or auto, which is 2.0 or, if the receiver does not take that, 1.0")
	obeyWords(cmd, "protocol", "1.0", "2.0", "auto")
	cmd.Flags().StringVar(&f.native, "native-histograms", "auto", "when to send native buckets: always, never or auto, which is in version 2.0")
	obeyWords(cmd, "native-histograms", "auto", "always", "never")
}

// addExits adds the flags by which serve and run send too.
func (f *deliveryFlags) addExits(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.remoteWrite, "remote-write", "", "also send the metrics to this `URL` by remote write; see mpctl remote-write --help")
	cmd.Flags().StringVar(&f.otlp, "otlp", "", "also send the metrics to this `URL` by OTLP; see mpctl otlp --help")
	cmd.Flags().DurationVar(&f.opts.Interval, "send-every", 15*time.Second, "how often to send")
	obey(cmd, notEmpty, "remote-write", "otlp")
	obey(cmd, longerThanZero(""), "send-every")
	f.add(cmd, "send-")
	f.addResource(cmd, "send-resource")
}

// withJob returns the labels with a job: the name of the directory.
func withJob(labels map[string]string, dir string) map[string]string {
	out := map[string]string{}
	if path, err := filepath.Abs(dir); err == nil {
		out["job"] = filepath.Base(path)
	}
	for name, value := range labels {
		out[name] = value
	}
	return out
}

func (f *deliveryFlags) newRemoteWrite(cmd *cobra.Command, url, dir string) (sender, error) {
	opts := f.opts
	opts.URL, opts.Logger = url, newLog(cmd)
	return remotewrite.New(remotewrite.Options{Options: opts, Labels: withJob(f.labels, dir), Protocol: f.protocol, NativeHistograms: f.native})
}

// exits returns the exits of serve and run.
func (f *deliveryFlags) exits(cmd *cobra.Command, dir string) (out []sender, err error) {
	if f.remoteWrite != "" {
		s, err := f.newRemoteWrite(cmd, f.remoteWrite, dir)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	if f.otlp != "" {
		s, err := f.newOTLP(cmd, f.otlp, dir, os.Getenv)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	if len(out) == 0 && cmd.Flags().Changed("send-queue") {
		return nil, errors.New("--send-queue is of no use without --remote-write or --otlp")
	}
	return out, nil
}

// send sends the merged metrics once, or at an interval until a signal.
func send(cmd *cobra.Command, e *exit, create func(dir string) (sender, error)) error {
	d, err := existingDir(e.dir)
	if err != nil {
		return err
	}
	s, err := create(d)
	if err != nil {
		return err
	}
	a, err := aggregate.Open(d, aggregate.Options{TrustUIDs: e.trust, TTL: e.ttl, Logger: newLog(cmd)})
	if err != nil {
		return err
	}
	defer a.Close()
	if e.every <= 0 {
		return noted(cmd, s.Push(cmd.Context(), a))
	}
	survivePipe()
	ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	return s.Run(ctx, registry.Merge(a, s))
}

// runExits runs the exits until ctx ends. wait returns their errors once they have sent their
// last values.
func runExits(ctx context.Context, exits []sender, g gather.Gatherer) (wait func() error) {
	var wg sync.WaitGroup
	errs := make([]error, len(exits))
	for i, s := range exits {
		wg.Go(func() {
			if err := s.Run(ctx, g); err != nil {
				errs[i] = fmt.Errorf("serve: %w", err)
			}
		})
	}
	return func() error {
		wg.Wait()
		return errors.Join(errs...)
	}
}
