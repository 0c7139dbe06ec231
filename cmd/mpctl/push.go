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
)

// pushFlags are the flags of `mpctl push` that need more than their value.
type pushFlags struct {
	add, remove, instanceIP              bool
	passwordFile, tokenFile, compression string
	escaping                             string
}

func newPush() *cobra.Command {
	var e exit
	var flags pushFlags
	var opts pushgateway.Options
	cmd := &cobra.Command{
		Use:   "push URL --job JOB",
		Short: "push the merged metrics to a Pushgateway",
		Long: `Push the merged metrics of a directory to a Pushgateway, in the place of all that
the group had. With --add, metrics of other names stay; with --delete, the group is
removed and nothing is pushed.

Passwords and tokens come from files, since others can see a command line.`,
		Example: `  mpctl push pushgateway.example:9091 --job backup --dir /dev/shm/backup
  mpctl push https://gw.example --job app --grouping instance=web-1 --username me --password-file pw --every 30s
  mpctl push pushgateway.example:9091 --job backup --delete`,
		Args: needs("URL"),
		RunE: func(cmd *cobra.Command, args []string) error {
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
	f.StringVar(&opts.Job, "job", "", "label job of the group; needed")
	f.StringToStringVar(&opts.Grouping, "grouping", nil, "further labels of the group: NAME=VALUE, may be repeated")
	f.BoolVar(&flags.instanceIP, "instance-ip", false, "give the group the label instance with this machine's address")
	f.BoolVar(&flags.add, "add", false, "leave metrics of other names in the group (POST)")
	f.BoolVar(&flags.remove, "delete", false, "remove the group (DELETE)")
	f.StringVar(&opts.Username, "username", "", "for basic auth")
	f.StringVar(&flags.passwordFile, "password-file", "", "file with the password")
	f.StringVar(&flags.tokenFile, "token-file", "", "file with a bearer token")
	f.StringVar(&opts.TLS.CAFile, "tls-ca", "", "file with the certificates of those who sign the server's (default the system's)")
	f.StringVar(&opts.TLS.CertFile, "tls-cert", "", "file with the client's certificate")
	f.StringVar(&opts.TLS.KeyFile, "tls-key", "", "file with its key")
	f.StringVar(&opts.TLS.ServerName, "tls-server-name", "", "name that the server's certificate is for (default the URL's host)")
	f.BoolVar(&opts.TLS.InsecureSkipVerify, "insecure-skip-verify", false, "take any certificate of the server")
	f.StringVar(&flags.compression, "compression", "none", "none; gzip, which a Pushgateway reads since 1.5; or snappy, which it reads since 1.6")
	f.BoolVar(&opts.FollowRedirects, "follow-redirects", false, "follow redirects, without credentials to other servers")
	f.BoolVar(&opts.Created, "created", false, "push the time when each counter, histogram and summary began")
	f.DurationVar(&opts.Timeout, "timeout", 30*time.Second, "for one push")
	obey(cmd, notEmpty, "job", "grouping", "username", "tls-server-name")
	obey(cmd, existing, "password-file", "token-file", "tls-ca", "tls-cert", "tls-key")
	obeyWords(cmd, "compression", "none", "gzip", "snappy")
	obey(cmd, longerThanZero(""), "timeout")
	cmd.MarkFlagsMutuallyExclusive("add", "delete")
	return cmd
}

// apply sets the options that the flags stand for.
func (f *pushFlags) apply(o *pushgateway.Options) (err error) {
	if o.Compression, err = pushgateway.ParseCompression(f.compression); err != nil {
		return err
	}
	if o.Format.Escaping, err = parseEscaping(f.escaping); err != nil {
		return err
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

// readSecret returns what is in a file, without the line's end; nothing for no file.
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
