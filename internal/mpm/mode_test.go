package mpm

import (
	"os"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseFileMode(t *testing.T) {
	for octal, want := range map[string]os.FileMode{
		"0600": 0o600, "600": 0o600, "0640": 0o640, "0660": 0o660, "0644": 0o644,
		"": 0, "rw-r-----": 0, "0x180": 0, "0888": 0, "-1": 0, "01640": 0, "0777": 0, "0666": 0, "0400": 0, "0200": 0, "0740": 0,
		"99999999999999999999": 0,
	} {
		got, err := ParseFileMode(octal)
		require.Equal(t, want, got, octal)
		if want == 0 {
			require.ErrorIs(t, err, ErrMode, octal)
		} else {
			require.NoError(t, err, octal)
		}
	}
}

func TestFileMode(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("windows has no permission bits")
	}
	for mode, want := range map[os.FileMode]os.FileMode{0: 0o600, 0o640: 0o640, 0o660: 0o660} {
		s, err := Create(t.TempDir(), Options{Mode: mode})
		require.NoError(t, err)
		info, err := os.Stat(s.Path())
		require.NoError(t, err)
		require.Equal(t, want, info.Mode(), mode)
	}
}
