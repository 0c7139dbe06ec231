package exposition

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/multiprom/multiprom/internal/options"
)

// TLS makes a [Server] speak only HTTPS. Renewed certificates are used from the next
// connection on. While new ones cannot be read, the old ones stay in use.
type TLS struct {
	// CertFile and KeyFile are the server's certificate, followed by those of its CAs,
	// and its key, in PEM. Both are required.
	CertFile, KeyFile string

	// RequireClientCert refuses clients without a certificate from an accepted CA
	// (mutual TLS).
	RequireClientCert bool
	// ClientCAFile has the certificates of the accepted CAs. ClientCADir is a directory
	// of such files. Both count. Default: the system's.
	ClientCAFile, ClientCADir string

	// MinVersion and MaxVersion are tls.VersionTLS12 or tls.VersionTLS13. Default
	// tls.VersionTLS12 and the newest version.
	MinVersion, MaxVersion uint16
}

// certificates holds the contents of a TLS's files.
type certificates struct {
	opts TLS
	log  *slog.Logger

	mu     sync.Mutex
	stamps map[string]stamp // of the files that were read
	config *tls.Config      // the last valid one
}

// stamp tells whether a file has changed.
type stamp struct {
	modified time.Time
	size     int64
}

// config returns the configuration of a server. The error says what is wrong with the
// options or the files.
func (o TLS) config(log *slog.Logger) (*tls.Config, error) {
	var check options.Checker
	if o.CertFile == "" {
		check.Failf("CertFile", "is empty: HTTPS needs a certificate and a key")
	}
	if o.KeyFile == "" {
		check.Failf("KeyFile", "is empty: HTTPS needs a certificate and a key")
	}
	for _, v := range []struct {
		name  string
		value uint16
	}{{"MinVersion", o.MinVersion}, {"MaxVersion", o.MaxVersion}} {
		if v.value != 0 && v.value != tls.VersionTLS12 && v.value != tls.VersionTLS13 {
			check.Failf(v.name, "is %#04x: it must be tls.VersionTLS12 or tls.VersionTLS13, or 0 for the default", v.value)
		}
	}
	if o.MaxVersion != 0 && o.MaxVersion < o.MinVersion {
		check.Failf("MaxVersion", "is less than MinVersion")
	}
	if err := check.Err(); err != nil {
		return nil, err
	}
	if !o.RequireClientCert && (o.ClientCAFile != "" || o.ClientCADir != "") {
		return nil, errors.New("ClientCAFile or ClientCADir is set but RequireClientCert is not: everybody could connect")
	}
	c := &certificates{opts: o, log: log}
	if _, err := c.current(); err != nil {
		return nil, err
	}
	config := o.base()
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return c.current() }
	return config, nil
}

func (o TLS) base() *tls.Config {
	return &tls.Config{
		MinVersion: cmp.Or(o.MinVersion, tls.VersionTLS12), MaxVersion: o.MaxVersion, NextProtos: []string{"h2", "http/1.1"},
		// A resumed session would continue with a client certificate that is no longer
		// accepted.
		SessionTicketsDisabled: true,
	}
}

// current returns the configuration for a new connection.
func (c *certificates) current() (*tls.Config, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	stamps, err := c.look()
	if err == nil && c.config != nil && sameStamps(stamps, c.stamps) {
		return c.config, nil
	}
	config := c.opts.base()
	if err == nil {
		err = c.opts.load(config)
	}
	switch {
	case err == nil:
		c.stamps, c.config = stamps, config
	case c.config == nil:
		return nil, err
	default:
		c.log.Error("exposition: the old certificates stay in use", "error", err)
	}
	return c.config, nil
}

// look returns the stamps of all files.
func (c *certificates) look() (map[string]stamp, error) {
	files, err := c.opts.files()
	if err != nil {
		return nil, err
	}
	stamps := make(map[string]stamp, len(files))
	for _, f := range files {
		info, err := os.Stat(f.name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.option, err)
		}
		stamps[f.name] = stamp{info.ModTime(), info.Size()}
	}
	return stamps, nil
}

func sameStamps(a, b map[string]stamp) bool {
	for name, s := range a {
		if o, ok := b[name]; !ok || o.size != s.size || !o.modified.Equal(s.modified) {
			return false
		}
	}
	return len(a) == len(b)
}

// optionFile is a file and the option that names it.
type optionFile struct{ option, name string }

// files returns all files to read.
func (o TLS) files() ([]optionFile, error) {
	cas, err := o.clientCAs()
	return append([]optionFile{{"CertFile", o.CertFile}, {"KeyFile", o.KeyFile}}, cas...), err
}

// clientCAs returns the files with the CA certificates for clients.
func (o TLS) clientCAs() (files []optionFile, err error) {
	if o.ClientCAFile != "" {
		files = append(files, optionFile{"ClientCAFile", o.ClientCAFile})
	}
	if o.ClientCADir == "" {
		return files, nil
	}
	entries, err := os.ReadDir(o.ClientCADir)
	for _, e := range entries {
		// Kubernetes mounts files as symbolic links, next to directories.
		name := filepath.Join(o.ClientCADir, e.Name())
		if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() {
			files = append(files, optionFile{"ClientCADir", name})
		}
	}
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("%s has no file: %w", o.ClientCADir, fs.ErrNotExist)
	}
	if err != nil {
		return nil, fmt.Errorf("ClientCADir: %w", err)
	}
	return files, nil
}

// load reads all files into a configuration.
func (o TLS) load(config *tls.Config) error {
	pair, err := tls.LoadX509KeyPair(o.CertFile, o.KeyFile)
	if err != nil {
		return fmt.Errorf("CertFile, KeyFile: %w", err)
	}
	config.Certificates = []tls.Certificate{pair}
	if !o.RequireClientCert {
		return nil
	}
	config.ClientAuth = tls.RequireAndVerifyClientCert
	files, err := o.clientCAs()
	if err != nil {
		return err
	}
	if len(files) == 0 {
		config.ClientCAs, err = x509.SystemCertPool()
		return err
	}
	config.ClientCAs = x509.NewCertPool()
	for _, f := range files {
		pem, err := os.ReadFile(f.name)
		if err != nil {
			return fmt.Errorf("%s: %w", f.option, err)
		}
		if !config.ClientCAs.AppendCertsFromPEM(pem) {
			return fmt.Errorf("%s: %s has no PEM certificate", f.option, f.name)
		}
	}
	return nil
}
