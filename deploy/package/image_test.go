package main

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/stretchr/testify/require"
)

// testImage looks at the image of each platform: what it has, whose it is, and how much there is
// to pull. It unpacks the one of this machine as a container engine would, and serves a
// directory from what is in it.
func testImage(t *testing.T, path string) {
	const most = 12_000_000
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
		require.Equal(t, "65532:65532", config.Config.User)
		require.Equal(t, platforms[i], config.Architecture)
		of, err := image.Manifest()
		require.NoError(t, err)
		layers, err := image.Layers()
		require.NoError(t, err)
		require.Len(t, layers, 2)
		packed := m.Size + of.Config.Size
		for j, want := range [][]string{
			{
				"drwxr-xr-x etc/", "-rw-r--r-- etc/group", "-rw-r--r-- etc/passwd", "drwxr-xr-x etc/ssl/", "drwxr-xr-x etc/ssl/certs/",
				"-rw-r--r-- etc/ssl/certs/ca-certificates.crt", "dtrwxrwxrwx tmp/",
			},
			{"drwxr-xr-x usr/", "drwxr-xr-x usr/bin/", "-rwxr-xr-x usr/bin/mpctl"},
		} {
			n, err := layers[j].Size()
			require.NoError(t, err)
			packed += n
			content, err := layers[j].Uncompressed()
			require.NoError(t, err)
			require.Equal(t, want, entries(t, content))
		}
		require.LessOrEqual(t, packed, int64(most))
		t.Logf("%s: %d bytes to pull, user %s", platforms[i], packed, config.Config.User)
		if platforms[i] == runtime.GOARCH && runtime.GOOS == "linux" {
			runImage(t, config.Config, layers)
		}
	}
}

// entries lists an archive, whose files belong to root.
func entries(t *testing.T, from io.ReadCloser) (all []string) {
	t.Helper()
	defer from.Close()
	for r := tar.NewReader(from); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		require.NoError(t, err)
		require.Zero(t, h.Uid)
		require.Zero(t, h.Gid)
		all = append(all, fmt.Sprint(h.FileInfo().Mode(), " ", h.Name))
	}
}

// runImage starts the image's program with its command, as its user in its files if this is
// root, and looks at the page.
func runImage(t *testing.T, config v1.Config, layers []v1.Layer) {
	root := t.TempDir()
	for _, l := range layers {
		content, err := l.Uncompressed()
		require.NoError(t, err)
		unpack(t, content, root)
	}
	roots, err := os.ReadFile(filepath.Join(root, "etc/ssl/certs/ca-certificates.crt"))
	require.NoError(t, err)
	require.Greater(t, strings.Count(string(roots), "BEGIN CERTIFICATE"), 50)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := l.Addr().String()
	require.NoError(t, l.Close())
	args := append(config.Cmd, "--web.listen-address", address)
	cmd := exec.Command(filepath.Join(root, config.Entrypoint[0]), args...)
	cmd.Env = append(config.Env, "PROMETHEUS_MULTIPROC_DIR="+t.TempDir())
	if os.Getuid() == 0 {
		metrics := filepath.Join(root, "run", "app") // a volume
		require.NoError(t, os.Mkdir(filepath.Dir(metrics), 0o755))
		require.NoError(t, os.Mkdir(metrics, 0o700))
		require.NoError(t, os.Chown(metrics, 65532, 65532))
		cmd = exec.Command(config.Entrypoint[0], args...)
		cmd.Dir, cmd.Env = "/", append(config.Env, "PROMETHEUS_MULTIPROC_DIR=/run/app")
		confine(cmd, root)
	}
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
	}, time.Minute, 20*time.Millisecond)
}
