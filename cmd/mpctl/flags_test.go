package main

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"os/user"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// mpctl runs a command in this process and returns its output.
func mpctl(t *testing.T, args ...string) (code int, output string) {
	t.Helper()
	var out bytes.Buffer
	code = run(context.Background(), args, &out, &out)
	return code, out.String()
}

// TestHelpWidth: every help text fits a terminal of helpWidth columns.
func TestHelpWidth(t *testing.T) {
	for _, cmd := range append(newRoot().Commands(), newRoot()) {
		if cmd.Name() == "completion" {
			continue // cobra's own
		}
		args := strings.Fields(strings.TrimPrefix(cmd.CommandPath(), "mpctl"))
		code, help := mpctl(t, append(args, "--help")...)
		require.Equal(t, exitOK, code)
		require.Contains(t, help, "Usage:")
		require.NotContains(t, help, "[])", "a default that means nothing")
		for line := range strings.Lines(help) {
			require.LessOrEqual(t, utf8.RuneCountInString(strings.TrimSuffix(line, "\n")), helpWidth, "%s: %s", cmd.Name(), line)
		}
	}
}

func TestTrustFlag(t *testing.T) {
	var f trustFlag
	require.NoError(t, f.Set("7"))
	require.NoError(t, f.Set("8,0"))
	require.Equal(t, "7,8,0", f.String())
	for _, bad := range []string{"", "-1", "4294967296", "no such user", "7,"} {
		require.Error(t, new(trustFlag).Set(bad), bad)
	}
	self, err := user.Current()
	if err != nil || runtime.GOOS == "windows" {
		t.Skip("this system has no numbered users by name: ", err)
	}
	if _, err := user.Lookup(self.Username); err != nil {
		t.Skip("this user has no entry: ", err)
	}
	var own trustFlag
	require.NoError(t, own.Set(self.Username))
	require.Equal(t, strconv.Itoa(os.Getuid()), own.String())
}

func TestDirMode(t *testing.T) {
	for octal, want := range map[string]fs.FileMode{
		"0700": 0o700, "770": 0o770, "2770": 0o770 | fs.ModeSetgid, "01777": 0o777 | fs.ModeSticky,
		"": 0, "rwx": 0, "4700": 0, "0600": 0, "0070": 0, "10700": 0,
	} {
		got, err := parseDirMode(octal)
		require.Equal(t, want, got, octal)
		require.Equal(t, want == 0, err != nil, octal)
	}
}

func TestFlagErrors(t *testing.T) {
	for _, tc := range []struct {
		args []string
		says string
	}{
		{[]string{"ls", "--trust-uid", "no-such-user"}, "no-such-user"},
		{[]string{"run", "--dir-mode", "rwx", "--", "true"}, "is not octal"},
		{[]string{"run", "--file-mode", "0666", "--", "true"}, "everybody could change it"},
		{[]string{"serve", "--web.timeout", "soon"}, "it must be a duration like 30s or 5m"},
	} {
		code, out := mpctl(t, tc.args...)
		require.Equal(t, exitError, code, out)
		require.Contains(t, out, tc.says)
	}
}

// TestCheckNotes: a problem with the directory is a note, and does not count as a problem
// of a file.
func TestCheckNotes(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("windows has no permission bits")
	}
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o777))
	code, out := mpctl(t, "check", "--dir", dir)
	require.Zero(t, code, out)
	require.Contains(t, out, "note: "+dir+" is writable by everybody (mode 0777)")
	require.Contains(t, out, "0 files checked, 0 problems")
}
