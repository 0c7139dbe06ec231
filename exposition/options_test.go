package exposition

import (
	"crypto/tls"
	"io"
	"log/slog"
	"testing"

	"github.com/multiprom/multiprom/internal/certtest"
	"github.com/multiprom/multiprom/internal/options"
	"github.com/multiprom/multiprom/internal/optiontest"
	"github.com/multiprom/multiprom/registry"
)

func TestOptions(t *testing.T) {
	g := registry.New(registry.Options{})
	format := map[string]optiontest.Row{"ContentType.Format": {Bad: []any{77}}, "ContentType.Escaping": {Bad: []any{77}}, "Created": {}, "Lenient": {}}
	optiontest.Check(t, Options{}, format, func(o Options) error { return Encode(io.Discard, nil, o) })
	optiontest.Check(t, Options{}, format, func(o Options) error {
		_, err := Append(nil, nil, o)
		return err
	})

	cert, key := certtest.New(t, "server")
	versions := []any{tls.VersionTLS11, 7}
	optiontest.Check(t, TLS{CertFile: cert, KeyFile: key, RequireClientCert: true}, map[string]optiontest.Row{
		"CertFile": {Needed: true, Bad: []any{"/none.pem"}}, "KeyFile": {Needed: true, Bad: []any{"/none.pem", cert}}, "RequireClientCert": {},
		"ClientCAFile": {Bad: []any{"/none.pem", key}, Good: []any{cert}}, "ClientCADir": {Bad: []any{"/none", t.TempDir()}},
		"MinVersion": {Bad: versions, Good: []any{tls.VersionTLS13}}, "MaxVersion": {Bad: versions, Good: []any{tls.VersionTLS13}},
	}, func(o TLS) error {
		_, err := o.config(slog.New(slog.DiscardHandler))
		return err
	})
	optiontest.Check(t, TLS{CertFile: cert, KeyFile: key, MinVersion: tls.VersionTLS13}, map[string]optiontest.Row{
		"CertFile": {Needed: true}, "KeyFile": {Needed: true}, "RequireClientCert": {},
		"ClientCAFile": {Bad: []any{cert}}, "ClientCADir": {Bad: []any{"/none"}}, "MinVersion": {}, "MaxVersion": {Bad: []any{tls.VersionTLS12}},
	}, func(o TLS) error {
		_, err := o.config(slog.New(slog.DiscardHandler))
		return err
	})

	handler := map[string]optiontest.Row{
		"FailOnError": {}, "NoCreated": {}, "DisableCompression": {}, "Lenient": {}, "ErrorLog": {},
		"MaxConcurrent": {Special: []int64{options.NoLimit}}, "Timeout": {Special: []int64{options.NoLimit}},
	}
	optiontest.Check(t, HandlerOptions{}, handler, func(o HandlerOptions) error {
		HandlerFor(g, o)
		return nil
	})
	none := optiontest.Row{Special: []int64{options.NoLimit}}
	server := map[string]optiontest.Row{
		"Addr": {Bad: []any{"nonsense", "127.0.0.1:-1", "127.0.0.1:nonsense"}}, "Gatherer": {}, "TLS": {Bad: []any{&TLS{}}},
		"ReadHeaderTimeout": none, "ReadTimeout": none, "WriteTimeout": none, "IdleTimeout": none, "MaxHeaderBytes": {},
	}
	for name, row := range handler {
		server["Handler."+name] = row
	}
	optiontest.Check(t, ServerOptions{Gatherer: g, Addr: "127.0.0.1:0"}, server, func(o ServerOptions) error {
		if o.Addr == "" {
			o.Addr = "127.0.0.1:0" // not port 8000 of this machine
		}
		s, err := Serve(o)
		if err == nil {
			err = s.Close()
		}
		return err
	})
}
