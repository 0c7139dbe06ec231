package remotewrite

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/bridge/delivery"
)

// TestCredentials: files are read again for each request.
func TestCredentials(t *testing.T) {
	r := newReceiver(t, takes)
	file := filepath.Join(t.TempDir(), "secret")
	header := func(o delivery.Options) string {
		t.Helper()
		before := len(r.all())
		o.URL = cmpOr(o.URL, r.URL)
		w := writer(t, Options{Options: o})
		require.NoError(t, w.Push(t.Context(), of(everyType()...)))
		require.NoError(t, os.WriteFile(file, []byte("second\n"), 0o600))
		require.NoError(t, w.Push(t.Context(), of(everyType()...)))
		all := r.all()
		require.Equal(t, "tenant", all[before].header.Get("X-Scope-OrgID"))
		return all[before].header.Get("Authorization") + "|" + all[before+1].header.Get("Authorization")
	}
	extra := map[string]string{"X-Scope-OrgID": "tenant"}
	write := func() { require.NoError(t, os.WriteFile(file, []byte("first\n"), 0o600)) }
	write()
	require.Equal(t, "Bearer first|Bearer second", header(delivery.Options{TokenFile: file, Headers: extra}))
	write()
	require.Equal(t, "Basic dTpmaXJzdA==|Basic dTpzZWNvbmQ=", header(delivery.Options{Username: "u", PasswordFile: file, Headers: extra}))
	require.Equal(t, "Basic dTpw|Basic dTpw", header(delivery.Options{URL: strings.Replace(r.URL, "http://", "http://u:p@", 1), Headers: extra}))
	require.Equal(t, "Bearer t|Bearer t", header(delivery.Options{Token: "t", Headers: extra}))
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
