package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/multiprom/multiprom/bridge/pushgateway"
	"github.com/multiprom/multiprom/exposition"
)

// pushFlags are the flags of `mpctl push` that do not map directly to an option.
type pushFlags struct {
	add, remove, instanceIP              bool
	passwordFile, tokenFile, compression string
	format, escaping                     string
}

func newPush() *cobra.Command {
	var e exit
	var flags pushFlags
	var opts pushgateway.Options
	cmd := &cobra.Command{
		Use:   "push URL --job JOB",
		Short: "push the merged metrics to a Pushgateway",
		Long: `Push the merged metrics of a directory to a Pushgateway. They replace all
metrics of the group. With --add, metrics with other names stay. With --delete,
the group is removed and nothing is pushed.

Passwords and tokens are read from files, because other users can see a command
line.`,
		Example: `  mpctl push pushgateway.example:9091 --job backup --dir /dev/shm/backup
  mpctl push https://gw.example --job app --every 30s \
    --grouping instance=web-1 --username me --password-file pw
  mpctl push pushgateway.example:9091 --job backup --delete`,
		Args: needs("URL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if opts.Job == "" {
				return misused(cmd, "--job is missing: every group has the label job")
			}
			opts.URL = args[0]
			if err := flags.apply(&opts); err != nil {
				return err
			}
			p, err := pushgateway.New(opts)
			if err != nil {
				return err
			}
			if flags.remove {
				return p.Delete(cmd.Context())
			}
			a, err := e.open(cmd)
			if err != nil {
				return err
			}
			defer a.Close()
			send := p.Push
			if flags.add {
				send = p.Add
			}
			return e.run(cmd, func(ctx context.Context) error { return send(ctx, a) })
		},
	}
	e.addFlags(cmd)
	addEscapingFlag(cmd, &flags.escaping)
	f := cmd.Flags()
	f.StringVar(&flags.format, "format", "text", "text or protobuf, which has native histograms")
	f.StringVar(&opts.Job, "job", "", "label job of the group (required)")
	f.StringToStringVar(&opts.Grouping, "grouping", nil, "further label of the group, `NAME=VALUE`; may be repeated")
	f.BoolVar(&flags.instanceIP, "instance-ip", false, "add the label instance with this machine's address to the group")
	f.BoolVar(&flags.add, "add", false, "keep metrics with other names in the group (POST)")
	f.BoolVar(&flags.remove, "delete", false, "remove the group and push nothing (DELETE)")
	f.StringVar(&opts.Username, "username", "", "user name for basic auth")
	f.StringVar(&flags.passwordFile, "password-file", "", "file with the password for basic auth")
	f.StringVar(&flags.tokenFile, "token-file", "", "file with a bearer token")
	f.StringVar(&opts.TLS.CAFile, "tls-ca", "", "file with the CA certificates that the server's certificate is checked against (default the system's)")
	f.StringVar(&opts.TLS.CertFile, "tls-cert", "", "file with the client certificate")
	f.StringVar(&opts.TLS.KeyFile, "tls-key", "", "file with the key of the client certificate")
	f.StringVar(&opts.TLS.ServerName, "tls-server-name", "", "expected name in the server's certificate (default the URL's host)")
	f.BoolVar(&opts.TLS.InsecureSkipVerify, "insecure-skip-verify", false, "accept any certificate of the server")
	f.StringVar(&flags.compression, "compression", "none", "none, gzip (needs Pushgateway 1.5) or snappy (needs Pushgateway 1.6)")
	f.BoolVar(&opts.FollowRedirects, "follow-redirects", false, "follow redirects; other servers get no credentials")
	f.BoolVar(&opts.Created, "created", false, "push when each counter, histogram and summary was created")
	f.DurationVar(&opts.Timeout, "timeout", 30*time.Second, "time limit for one push")
	obey(cmd, notEmpty, "job", "grouping", "username", "tls-server-name")
	obey(cmd, existing, "password-file", "token-file", "tls-ca", "tls-cert", "tls-key")
	obeyWords(cmd, "format", "text", "protobuf")
	obeyWords(cmd, "compression", "none", "gzip", "snappy")
	obey(cmd, longerThanZero(""), "timeout")
	cmd.MarkFlagsMutuallyExclusive("add", "delete")
	return cmd
}

// apply sets the options from the flags.
func (f *pushFlags) apply(o *pushgateway.Options) (err error) {
	if err := o.Compression.UnmarshalText([]byte(f.compression)); err != nil {
		return err
	}
	if o.ContentType.Escaping, err = parseEscaping(f.escaping); err != nil {
		return err
	}
	if f.format == "protobuf" {
		o.ContentType.Format = exposition.Protobuf
	}
	if o.Password, err = readSecret(f.passwordFile); err != nil {
		return err
	}
	if o.Token, err = readSecret(f.tokenFile); err != nil {
		return err
	}
	if f.passwordFile != "" && o.Username == "" {
		return errors.New("--password-file needs --username")
	}
	if f.instanceIP {
		grouping := pushgateway.InstanceIPGroupingKey()
		maps.Copy(grouping, o.Grouping)
		o.Grouping = grouping
	}
	return nil
}

// readSecret returns the content of a file without the trailing newline. Without a path
// it returns "".
func readSecret(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("secret: %w", err)
	}
	return strings.TrimRight(string(b), "\r\n"), nil
}
