package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/deb"
	_ "github.com/goreleaser/nfpm/v2/rpm"
)

// maintainer is the maintainer of the packages.
const maintainer = "multiprom <multiprom@users.noreply.github.com>"

// texts fills the stage: manual pages, completions, and the files of /usr/share/doc.
func (r *release) texts() error {
	binary := r.binary(runtime.GOARCH)
	if _, err := os.Stat(binary); err != nil || runtime.GOOS != "linux" {
		binary = filepath.Join(r.stage, "mpctl")
		cmd := exec.Command("go", "build", "-o", binary, "./cmd/mpctl")
		cmd.Dir = r.root
		if err := runs(cmd); err != nil {
			return err
		}
	}
	manual := exec.Command(binary, "man", r.stage)
	manual.Env = append(os.Environ(), "SOURCE_DATE_EPOCH="+r.epoch())
	if err := runs(manual); err != nil {
		return err
	}
	pages, err := filepath.Glob(filepath.Join(r.stage, "*.1"))
	if err != nil {
		return err
	}
	for _, page := range pages {
		b, err := os.ReadFile(page)
		if err != nil {
			return err
		}
		if err := r.gzip(filepath.Join("man", filepath.Base(page)), b); err != nil {
			return err
		}
	}
	changes, err := os.ReadFile(filepath.Join(r.root, "CHANGELOG.md"))
	if err != nil {
		return err
	}
	if err := r.gzip("NEWS", changes); err != nil {
		return err
	}
	return r.gzip("changelog", fmt.Appendf(nil, "multiprom (%s) stable; urgency=low\n\n  * See NEWS.gz, and https://github.com/multiprom/multiprom/releases.\n\n -- %s  %s\n",
		strings.Replace(r.version, "-", "~", 1), maintainer, r.date.Format("Mon, 02 Jan 2006 15:04:05 -0700")))
}

// gzip writes a compressed file to the stage, without name and time.
func (r *release) gzip(name string, content []byte) error {
	path := filepath.Join(r.stage, name+".gz")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return err
	}
	if _, err := w.Write(content); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return os.WriteFile(path, b.Bytes(), 0o644)
}

// pack writes one package.
func (r *release) pack(format, arch string) error {
	config, err := nfpm.ParseFileWithEnvMapping(filepath.Join(r.root, "deploy", "package", "nfpm.yaml"), func(name string) string {
		return map[string]string{
			"ARCH": arch, "VERSION": r.version, "MAINTAINER": maintainer,
			"ROOT": r.root, "STAGE": r.stage, "BINARY": r.binary(arch),
		}[name]
	})
	if err != nil {
		return err
	}
	info, err := config.Get(format)
	if err != nil {
		return err
	}
	info.MTime = r.date
	here := filepath.Join(r.root, "deploy", "package") // nfpm expands no variables in names of scripts
	info.Scripts = nfpm.Scripts{
		PostInstall: filepath.Join(here, "postinst"), PreRemove: filepath.Join(here, "prerm"), PostRemove: filepath.Join(here, "postrm"),
	}
	for _, c := range info.Contents {
		c.FileInfo.MTime = r.date
	}
	packager, err := nfpm.Get(format)
	if err != nil {
		return err
	}
	if err := nfpm.PrepareForPackager(info, format); err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(r.out, packager.ConventionalFileName(info)))
	if err != nil {
		return err
	}
	defer f.Close()
	if err := packager.Package(info, f); err != nil {
		return err
	}
	return f.Close()
}
