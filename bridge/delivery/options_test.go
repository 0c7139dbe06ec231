package delivery_test

import (
	"testing"

	"github.com/multiprom/multiprom/bridge/delivery"
	"github.com/multiprom/multiprom/bridge/remotewrite"
	"github.com/multiprom/multiprom/internal/certtest"
	"github.com/multiprom/multiprom/internal/options"
	"github.com/multiprom/multiprom/internal/optiontest"
)

// TestOptions tries the options in a package that has them.
func TestOptions(t *testing.T) {
	cert, key := certtest.New(t, "client")
	rows := map[string]optiontest.Row{
		"URL":      {Needed: true, Bad: []any{"ftp://x", "http://["}, Good: []any{"https://x/y?z=1", "localhost:9090/api/v1/write"}},
		"Username": {}, "Password": {}, "PasswordFile": {}, "Token": {}, "TokenFile": {Bad: []any{"/none"}, Good: []any{cert}}, "Client": {},
		"Headers":    {Bad: []any{map[string]string{"a b": "c"}, map[string]string{"a": "b\n"}}},
		"TLS.CAFile": {Bad: []any{"/none.pem", key}, Good: []any{cert}}, "TLS.CertFile": {Bad: []any{cert}}, "TLS.KeyFile": {Bad: []any{key}},
		"TLS.ServerName": {}, "TLS.InsecureSkipVerify": {},
		"Interval": {}, "Timeout": {}, "MaxBackoff": {}, "MaxSamples": {}, "MaxBytes": {},
		"QueueDir": {}, "QueueBytes": {Special: []int64{options.NoLimit}}, "QueueAge": {Special: []int64{options.NoLimit}}, "Logger": {}, "Now": {},
	}
	try := func(o delivery.Options) error {
		_, err := remotewrite.New(remotewrite.Options{Options: o})
		return err
	}
	optiontest.Check(t, delivery.Options{URL: "http://localhost"}, rows, try)
	for name, row := range rows {
		if name == "Username" || name == "Token" || name == "TokenFile" || name == "PasswordFile" {
			row.Bad, row.Good = nil, nil
			rows[name] = row
		}
	}
	// Only one kind of credentials is allowed.
	rows["Token"] = optiontest.Row{Bad: []any{"t"}}
	rows["TokenFile"] = optiontest.Row{Bad: []any{cert}}
	rows["PasswordFile"] = optiontest.Row{Bad: []any{cert}}
	optiontest.Check(t, delivery.Options{URL: "http://localhost", Username: "u", Password: "p"}, rows, try)
}
