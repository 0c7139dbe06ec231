package pushgateway

import (
	"testing"

	"github.com/multiprom/multiprom/internal/certtest"
	"github.com/multiprom/multiprom/internal/optiontest"
)

func TestOptions(t *testing.T) {
	cert, key := certtest.New(t, "client")
	with := func(base Options, rows map[string]optiontest.Row) {
		for name, row := range map[string]optiontest.Row{
			"URL": {Needed: true, Bad: []any{"ftp://x", "http://x?y", "http://[", "http://\x7f"}, Good: []any{"localhost:9091"}},
			"Job": {Needed: true, Good: []any{"a/b"}}, "Grouping": {Bad: []any{map[string]string{"job": "x"}, map[string]string{"a-b": "x"}}},
			"Username": {}, "Password": {}, "Token": {}, "Client": {},
			"TLS.CAFile": {Bad: []any{"/none.pem", key}, Good: []any{cert}}, "TLS.CertFile": {}, "TLS.KeyFile": {},
			"TLS.ServerName": {}, "TLS.InsecureSkipVerify": {}, "FollowRedirects": {}, "Compression": {Bad: []any{77}}, "Created": {}, "Timeout": {},
			"ContentType.Format": {Bad: []any{77}}, "ContentType.Escaping": {Bad: []any{77}},
		} {
			if _, ok := rows[name]; !ok {
				rows[name] = row
			}
		}
		optiontest.Check[Options](t, base, rows, func(o Options) error {
			_, err := New(o)
			return err
		})
	}
	base := Options{URL: "http://localhost", Job: "j"}
	with(base, map[string]optiontest.Row{"Password": {Bad: []any{"secret"}}, "TLS.CertFile": {Bad: []any{cert}}, "TLS.KeyFile": {Bad: []any{key}}})
	base.TLS.CertFile, base.TLS.KeyFile = cert, key
	with(base, map[string]optiontest.Row{"TLS.CertFile": {Needed: true, Bad: []any{"/none.pem"}}, "TLS.KeyFile": {Needed: true, Bad: []any{"/none.pem", cert}}})
	// Only one kind of credentials is allowed.
	base = Options{URL: "http://localhost", Job: "j", Username: "u", Password: "p"}
	with(base, map[string]optiontest.Row{"Username": {Needed: true}, "Token": {Bad: []any{"t"}}})
}
