package main

import (
	"archive/tar"
	"bytes"
	"encoding/pem"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/google/go-containerregistry/pkg/compression"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// imageUser is the user and group of the image, by number, so that Kubernetes can see that
// it is not root.
const imageUser = "65532:65532"

// image writes mpctl-image.tar: an OCI layout with an image for each platform. Its first
// layer has what any program needs, its second the binary.
func (r *release) image() error {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	base, err := r.baseLayer()
	if err != nil {
		return err
	}
	for _, arch := range platforms {
		binary, err := os.ReadFile(r.binary(arch))
		if err != nil {
			return err
		}
		program, err := r.layer(
			entry{name: "usr/", mode: 0o755}, entry{name: "usr/bin/", mode: 0o755},
			entry{name: "usr/bin/mpctl", mode: 0o755, content: binary})
		if err != nil {
			return err
		}
		image, err := r.config(arch, base, program)
		if err != nil {
			return err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add:        image,
			Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}},
		})
	}
	dir := filepath.Join(r.stage, "image")
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	err = path.AppendIndex(index, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": r.version}))
	if err != nil {
		return err
	}
	return r.tarFolder(dir, filepath.Join(r.out, "mpctl-image.tar"))
}

// config makes the image of a platform.
func (r *release) config(arch string, layers ...v1.Layer) (v1.Image, error) {
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err := mutate.AppendLayers(image, layers...)
	if err != nil {
		return nil, err
	}
	file, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	file = file.DeepCopy()
	file.OS, file.Architecture = "linux", arch
	file.Created = v1.Time{Time: r.date}
	for i := range file.History {
		file.History[i].Created = file.Created
	}
	file.Config = v1.Config{
		User:         imageUser,
		Entrypoint:   []string{"/usr/bin/mpctl"},
		Cmd:          []string{"serve"},
		Env:          []string{"PATH=/usr/bin"},
		ExposedPorts: map[string]struct{}{"9090/tcp": {}},
		Labels: map[string]string{
			"org.opencontainers.image.title":    "mpctl",
			"org.opencontainers.image.version":  r.version,
			"org.opencontainers.image.source":   "https://github.com/multiprom/multiprom",
			"org.opencontainers.image.licenses": "Apache-2.0",
		},
	}
	return mutate.ConfigFile(image, file)
}

// baseLayer has the user, the certificate authorities that Mozilla trusts, and /tmp.
func (r *release) baseLayer() (v1.Layer, error) {
	var roots bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint != nil {
			continue // a file of certificates cannot say it
		}
		if err := pem.Encode(&roots, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}); err != nil {
			return nil, err
		}
	}
	return r.layer(
		entry{name: "etc/", mode: 0o755},
		entry{name: "etc/group", mode: 0o644, content: []byte("root:x:0:\nmultiprom:x:65532:\n")},
		entry{name: "etc/passwd", mode: 0o644, content: []byte("root:x:0:0:root:/:/sbin/nologin\nmultiprom:x:65532:65532:multiprom:/:/sbin/nologin\n")},
		entry{name: "etc/ssl/", mode: 0o755}, entry{name: "etc/ssl/certs/", mode: 0o755},
		entry{name: "etc/ssl/certs/ca-certificates.crt", mode: 0o644, content: roots.Bytes()},
		entry{name: "tmp/", mode: 0o1777},
	)
}

// entry is a file of a layer, or a directory if its name ends with a slash. It belongs to
// root.
type entry struct {
	name    string
	mode    int64
	content []byte
}

// layer packs entries.
func (r *release) layer(entries ...entry) (v1.Layer, error) {
	var packed bytes.Buffer
	w := tar.NewWriter(&packed)
	for _, e := range entries {
		header := &tar.Header{Name: e.name, Mode: e.mode, Size: int64(len(e.content)), ModTime: r.date, Format: tar.FormatPAX}
		if e.name[len(e.name)-1] == '/' {
			header.Typeflag = tar.TypeDir
		}
		if err := w.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := w.Write(e.content); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return tarball.LayerFromOpener(
		func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(packed.Bytes())), nil },
		tarball.WithMediaType(types.OCILayer), tarball.WithCompression(compression.GZip), tarball.WithCompressionLevel(9))
}

// tarFolder packs a folder's files in the order of their names.
func (r *release) tarFolder(dir, to string) error {
	f, err := os.Create(to)
	if err != nil {
		return err
	}
	defer f.Close()
	w := tar.NewWriter(f)
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		header := &tar.Header{Name: filepath.ToSlash(name), Mode: 0o644, Size: int64(len(b)), ModTime: r.date.Truncate(time.Second)}
		if err := w.WriteHeader(header); err != nil {
			return err
		}
		_, err = w.Write(b)
		return err
	})
	if err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return f.Close()
}
