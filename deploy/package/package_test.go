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
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/stretchr/testify/require"
)

const version = "1.2.3"

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
	t.Run("image", func(t *testing.T) { testImage(t, filepath.Join(out, "mpctl-image.tar")) })
}

// testDeb unpacks the package with dpkg and runs what is in it.
func testDeb(t *testing.T, path string) {
	if !slices.Contains(platforms, runtime.GOARCH) {
		t.Skip("no package is made for this architecture")
	}
	if _, err := exec.LookPath("dpkg-deb"); err != nil {
		if os.Getenv("MULTIPROM_INTEGRATION") != "" {
			t.Fatalf("MULTIPROM_INTEGRATION is set, and %v", err)
		}
		t.Skip(err.Error() + "; it is part of Debian")
	}
	root := t.TempDir()
	out, err := exec.Command("dpkg-deb", "--extract", path, root).CombinedOutput()
	require.NoError(t, err, "%s", out)
	for _, name := range []string{
		"usr/share/man/man1/mpctl.1.gz", "usr/share/man/man1/mpctl-serve.1.gz", "usr/share/bash-completion/completions/mpctl",
		"usr/share/zsh/vendor-completions/_mpctl", "usr/share/fish/vendor_completions.d/mpctl.fish",
		"lib/systemd/system/multiprom@.service", "usr/lib/sysusers.d/multiprom.conf", "usr/lib/tmpfiles.d/multiprom.conf",
		"usr/share/doc/multiprom/copyright", "usr/share/doc/multiprom/changelog.gz",
	} {
		require.FileExists(t, filepath.Join(root, name))
	}
	out, err = exec.Command(filepath.Join(root, "usr/bin/mpctl"), "version").CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "mpctl v"+version)
}

// testImage unpacks the image as a container engine would, and serves a directory from
// what is in it.
func testImage(t *testing.T, path string) {
	const most = 12 << 20
	info, err := os.Stat(path)
	require.NoError(t, err)
	t.Logf("both platforms: %d bytes", info.Size())
	dir := t.TempDir()
	unpack(t, open(t, path), dir)
	outer, err := layout.ImageIndexFromPath(dir)
	require.NoError(t, err)
	manifest, err := outer.IndexManifest()
	require.NoError(t, err)
	require.Len(t, manifest.Manifests, 1)
	require.Equal(t, version, manifest.Manifests[0].Annotations["org.opencontainers.image.ref.name"])
	index, err := outer.ImageIndex(manifest.Manifests[0].Digest)
	require.NoError(t, err)
	images, err := index.IndexManifest()
	require.NoError(t, err)
	require.Len(t, images.Manifests, len(platforms))
	for i, m := range images.Manifests {
		require.Equal(t, &v1.Platform{OS: "linux", Architecture: platforms[i]}, m.Platform)
		image, err := index.Image(m.Digest)
		require.NoError(t, err)
		config, err := image.ConfigFile()
		require.NoError(t, err)
		require.Equal(t, imageUser, config.Config.User)
		layers, err := image.Layers()
		require.NoError(t, err)
		require.Len(t, layers, 2)
		size, err := partial.UncompressedSize(layers[1])
		require.NoError(t, err)
		packed := m.Size
		for _, l := range layers {
			n, err := l.Size()
			require.NoError(t, err)
			packed += n
		}
		require.LessOrEqual(t, packed, int64(most))
		t.Logf("%s: %d bytes to pull, of which the binary unpacks to %d, user %s", platforms[i], packed, size, config.Config.User)
		if platforms[i] != runtime.GOARCH || runtime.GOOS != "linux" {
			continue
		}
		root := t.TempDir()
		for _, l := range layers {
			content, err := l.Uncompressed()
			require.NoError(t, err)
			unpack(t, content, root)
		}
		roots, err := os.ReadFile(filepath.Join(root, "etc/ssl/certs/ca-certificates.crt"))
		require.NoError(t, err)
		require.Greater(t, strings.Count(string(roots), "BEGIN CERTIFICATE"), 50)
		serves(t, filepath.Join(root, config.Config.Entrypoint[0]), config.Config.Cmd)
	}
}

// serves starts the image's program with its command, and looks at the page.
func serves(t *testing.T, program string, command []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := l.Addr().String()
	require.NoError(t, l.Close())
	cmd := exec.Command(program, append(command, "--web.listen-address", address)...)
	cmd.Env = []string{"PROMETHEUS_MULTIPROC_DIR=" + t.TempDir()}
	cmd.Stderr = os.Stderr
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	require.Eventually(t, func() bool {
		resp, err := http.Get("http://" + address + "/metrics")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		return err == nil && strings.Contains(string(b), "\nmultiprom_processes")
	}, 30*time.Second, 20*time.Millisecond)
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
