package exposition

import (
	"testing"

	"github.com/multiprom/multiprom/internal/optiontest"
	"github.com/multiprom/multiprom/registry"
)

func TestOptions(t *testing.T) {
	g := registry.New(registry.Options{})
	handler := map[string]optiontest.Row{
		"ErrorPolicy": {Bad: []any{200}}, "Created": {Bad: []any{200}}, "DisableCompression": {}, "Lenient": {}, "ErrorLog": {},
		"MaxConcurrent": {Special: []int64{NoLimit}}, "Timeout": {Special: []int64{NoLimit}},
	}
	optiontest.Check(t, HandlerOptions{}, handler, func(o HandlerOptions) error {
		HandlerFor(g, o)
		return nil
	})
	none := optiontest.Row{Special: []int64{NoLimit}}
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
