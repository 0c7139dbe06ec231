package main

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// platforms are the architectures that packages are made for.
var platforms = []string{"amd64", "arm64"}

// release is one run of the command.
type release struct {
	root    string // of the repository
	out     string
	stage   string // what packages have in common: manual pages, completions, texts
	version string // without a leading v
	date    time.Time
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "package:", err)
		os.Exit(1)
	}
}

func run() error {
	root := flag.String("root", filepath.Join("..", ".."), "root of the repository")
	out := flag.String("out", filepath.Join("..", "..", "dist"), "directory to write to")
	version := flag.String("version", "", "version, like 1.2.3 (default from git's tags)")
	flag.Parse()
	r := release{version: strings.TrimPrefix(*version, "v")}
	for dst, path := range map[*string]string{&r.root: *root, &r.out: *out} {
		var err error
		if *dst, err = filepath.Abs(path); err != nil {
			return err
		}
	}
	if err := r.identify(); err != nil {
		return err
	}
	stage, err := os.MkdirTemp("", "package")
	if err != nil {
		return err
	}
	defer os.RemoveAll(stage)
	r.stage = stage
	return r.make()
}

// identify finds out version and date, unless they were given.
func (r *release) identify() error {
	if r.version == "" {
		described, err := r.git("describe", "--tags", "--match", "v[0-9]*", "--always", "--abbrev=12")
		if err != nil {
			return err
		}
		tag, ok := strings.CutPrefix(described, "v")
		if !ok {
			tag = "0.0.0-dev." + described // there is no tag yet
		}
		r.version = tag
	}
	seconds := os.Getenv("SOURCE_DATE_EPOCH")
	if seconds == "" {
		var err error
		if seconds, err = r.git("log", "-1", "--format=%ct"); err != nil {
			return err
		}
	}
	n, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return fmt.Errorf("SOURCE_DATE_EPOCH: %w", err)
	}
	r.date = time.Unix(n, 0).UTC()
	return nil
}

func (r *release) git(args ...string) (string, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir = r.root
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w: give --version and SOURCE_DATE_EPOCH if this is no clone", args[0], err)
	}
	return strings.TrimSpace(string(out)), nil
}

// make writes everything.
func (r *release) make() error {
	if err := os.RemoveAll(r.out); err != nil {
		return err
	}
	if err := os.MkdirAll(r.out, 0o755); err != nil {
		return err
	}
	for _, arch := range platforms {
		if err := r.build(arch); err != nil {
			return err
		}
		if err := r.bill(arch); err != nil {
			return err
		}
	}
	if err := r.texts(); err != nil {
		return err
	}
	for _, arch := range platforms {
		for _, format := range []string{"deb", "rpm"} {
			if err := r.pack(format, arch); err != nil {
				return fmt.Errorf("%s of %s: %w", format, arch, err)
			}
		}
	}
	if err := r.image(); err != nil {
		return fmt.Errorf("image: %w", err)
	}
	return r.checksums()
}

func (r *release) binary(arch string) string { return filepath.Join(r.out, "mpctl-linux-"+arch) }

// build makes a static binary that holds no path and no time.
func (r *release) build(arch string) error {
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false",
		"-ldflags", "-s -w -buildid= -X main.packaged=v"+r.version, "-o", r.binary(arch), "./cmd/mpctl")
	cmd.Dir = r.root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch, "GOAMD64=v1", "GOARM64=v8.0", "GOFLAGS=", "GOWORK=off")
	return runs(cmd)
}

// bill writes the bill of materials of a binary.
func (r *release) bill(arch string) error {
	cmd := exec.Command("go", "tool", "cyclonedx-gomod", "bin", "-json", "-std", "-noserial", "-notimestamp",
		"-version", "v"+r.version, "-output", r.binary(arch)+".cdx.json", r.binary(arch))
	cmd.Dir = filepath.Join(r.root, "deploy", "package")
	return runs(cmd)
}

func runs(cmd *exec.Cmd) error {
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, out)
	}
	return nil
}

// checksums writes SHA256SUMS, as sha256sum(1) does.
func (r *release) checksums() error {
	entries, err := os.ReadDir(r.out)
	if err != nil {
		return err
	}
	var sums strings.Builder
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(r.out, e.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(b), e.Name())
	}
	return os.WriteFile(filepath.Join(r.out, "SHA256SUMS"), []byte(sums.String()), 0o644)
}

// epoch is the date as SOURCE_DATE_EPOCH has it.
func (r *release) epoch() string { return strconv.FormatInt(r.date.Unix(), 10) }
