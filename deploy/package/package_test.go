package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const version = "1.2.3"

// rpmArch are the names that rpm has for architectures.
var rpmArch = map[string]string{"amd64": "x86_64", "arm64": "aarch64"}

// made makes everything from a copy of the repository in a folder of its own.
func made(t *testing.T) (out string) {
	t.Helper()
	root := filepath.Join(t.TempDir(), "copy")
	copyTree(t, filepath.Join("..", ".."), root)
	r := release{root: root, out: filepath.Join(root, "dist"), stage: t.TempDir(), version: version, date: time.Unix(1_700_000_000, 0).UTC()}
	require.NoError(t, r.make())
	return r.out
}

// copyTree copies what a release is made of.
func copyTree(t *testing.T, from, to string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if d.IsDir() && (rel == ".git" || rel == "dist" || rel == "bin" || d.Name() == "testdata") {
			return fs.SkipDir
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o755)
		}
		if !d.Type().IsRegular() {
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), b, 0o644)
	}))
}

// sums returns the checksums of a folder's files by name.
func sums(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	out := map[string]string{}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		require.NoError(t, err)
		out[e.Name()] = fmt.Sprintf("%x", sha256.Sum256(b))
	}
	return out
}

// TestRelease makes everything twice, from two folders: every file has the same bytes. Then
// it looks at what was made.
func TestRelease(t *testing.T) {
	out := made(t)
	first := sums(t, out)
	require.Equal(t, first, sums(t, made(t)))
	require.Len(t, first, 4+4+1+1, "%v", first)
	listed, err := os.ReadFile(filepath.Join(out, "SHA256SUMS"))
	require.NoError(t, err)
	for name, sum := range first {
		if name != "SHA256SUMS" {
			require.Contains(t, string(listed), sum+"  "+name+"\n")
		}
	}
	for arch, machine := range map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64} {
		t.Run(arch, func(t *testing.T) {
			path := filepath.Join(out, "mpctl-linux-"+arch)
			f, err := elf.Open(path)
			require.NoError(t, err)
			defer f.Close()
			require.Equal(t, machine, f.Machine)
			require.Nil(t, f.Section(".symtab"), "stripped")
			require.Nil(t, f.Section(".debug_info"), "stripped")
			libraries, err := f.ImportedLibraries()
			require.NoError(t, err)
			require.Empty(t, libraries, "static")
			var bill struct {
				Metadata struct {
					Component struct{ Name, Version string }
				}
				Components []struct{ Name, Version string }
			}
			b, err := os.ReadFile(path + ".cdx.json")
			require.NoError(t, err)
			require.NoError(t, json.Unmarshal(b, &bill))
			require.Equal(t, "v"+version, bill.Metadata.Component.Version)
			require.Greater(t, len(bill.Components), 30)
		})
	}
	t.Run("deb", func(t *testing.T) { testDeb(t, filepath.Join(out, "multiprom_"+version+"_"+runtime.GOARCH+".deb")) })
	t.Run("rpm", func(t *testing.T) {
		testRpm(t, filepath.Join(out, "multiprom-"+version+"-1."+rpmArch[runtime.GOARCH]+".rpm"))
	})
	t.Run("image", func(t *testing.T) { testImage(t, filepath.Join(out, "mpctl-image.tar")) })
}

// testDeb unpacks the package with dpkg and runs what is in it.
func testDeb(t *testing.T, path string) {
	command(t, "dpkg-deb")
	root := t.TempDir()
	says(t, "dpkg-deb", "--extract", path, root)
	testFiles(t, root, "lib/systemd/system", "usr/share/zsh/vendor-completions/_mpctl", "usr/share/doc/multiprom/changelog.gz")
}

// testRpm installs the package with rpm in an empty folder and runs what is in it. Its scripts
// are those of the deb.
func testRpm(t *testing.T, path string) {
	command(t, "rpm")
	root := t.TempDir()
	require.Contains(t, says(t, "rpm", "--checksig", "--nosignature", path), "digests OK")
	require.NotContains(t, says(t, "rpm", "-qp", "--queryformat", "%{DESCRIPTION}", path), "\n.\n")
	scripts := says(t, "rpm", "-qp", "--scripts", path)
	for _, name := range []string{"postinst", "prerm", "postrm"} {
		b, err := os.ReadFile(name)
		require.NoError(t, err)
		require.Contains(t, scripts, strings.TrimSpace(string(b)))
	}
	says(t, "rpm", "--root", root, "--dbpath", "/db", "--nodeps", "--noscripts", "--install", path)
	testFiles(t, root, "usr/lib/systemd/system", "usr/share/zsh/site-functions/_mpctl")
}

// testFiles looks at what a package has put under root, and runs the command.
func testFiles(t *testing.T, root, units string, more ...string) {
	for _, name := range append(more,
		"usr/share/man/man1/mpctl.1.gz", "usr/share/man/man1/mpctl-serve.1.gz", "usr/share/bash-completion/completions/mpctl",
		"usr/share/fish/vendor_completions.d/mpctl.fish", units+"/multiprom@.service", "usr/lib/sysusers.d/multiprom.conf",
		"usr/lib/tmpfiles.d/multiprom.conf", "usr/share/doc/multiprom/copyright", "usr/share/doc/multiprom/examples/app.env",
	) {
		require.FileExists(t, filepath.Join(root, name))
	}
	require.DirExists(t, filepath.Join(root, "etc/multiprom"))
	require.Contains(t, says(t, filepath.Join(root, "usr/bin/mpctl"), "version"), "mpctl v"+version)
}

// command skips the test if there is no such command, unless all are expected, or if no
// package is made for this machine.
func command(t *testing.T, name string) {
	t.Helper()
	if !slices.Contains(platforms, runtime.GOARCH) {
		t.Skip("no package is made for this architecture")
	}
	if _, err := exec.LookPath(name); err != nil {
		if os.Getenv("MULTIPROM_INTEGRATION") != "" {
			t.Fatalf("MULTIPROM_INTEGRATION is set, and %v", err)
		}
		t.Skip(err.Error() + "; it is in Debian")
	}
}

// says runs a command and returns what it says.
func says(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	require.NoError(t, err, "%s %q: %s", name, args, out)
	return string(out)
}

func open(t *testing.T, path string) io.ReadCloser {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

// unpack unpacks a tar archive, which may be compressed.
func unpack(t *testing.T, from io.ReadCloser, dir string) {
	t.Helper()
	defer from.Close()
	b, err := io.ReadAll(from)
	require.NoError(t, err)
	var content io.Reader = bytes.NewReader(b)
	if bytes.HasPrefix(b, []byte{0x1f, 0x8b}) {
		content, err = gzip.NewReader(content)
		require.NoError(t, err)
	}
	for r := tar.NewReader(content); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		require.NoError(t, err)
		require.Zero(t, h.Uid)
		path := filepath.Join(dir, filepath.FromSlash(h.Name))
		if h.Typeflag == tar.TypeDir {
			require.NoError(t, os.MkdirAll(path, 0o755))
			continue
		}
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, h.FileInfo().Mode())
		require.NoError(t, err)
		_, err = io.Copy(f, r)
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}
}
