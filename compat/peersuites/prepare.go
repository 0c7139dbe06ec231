package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
)

// The two copies of a suite.
const (
	original = "original"
	migrated = "migrated"
)

// prepare makes both copies of a suite below dir. Copies that are there are used
// again. It returns the tests that were left out, as they cannot compile outside
// their package.
func prepare(ctx context.Context, s suite, dir, repository string) (leftOut []string, err error) {
	done := filepath.Join(dir, "left-out.json")
	if b, err := os.ReadFile(done); err == nil {
		return leftOut, json.Unmarshal(b, &leftOut)
	}
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	source, err := download(ctx, s)
	if err != nil {
		return nil, err
	}
	for _, side := range []string{migrated, original} {
		if err := copySuite(s, source, filepath.Join(dir, side), side == migrated); err != nil {
			return nil, err
		}
	}
	if err := modules(ctx, s, dir, repository); err != nil {
		return nil, err
	}
	for _, pkg := range s.inside {
		names, err := trim(ctx, filepath.Join(dir, migrated), filepath.Join(dir, original), pkg)
		if err != nil {
			return nil, err
		}
		leftOut = append(leftOut, names...)
	}
	b, err := json.Marshal(leftOut)
	if err != nil {
		return nil, err
	}
	return leftOut, os.WriteFile(done, b, 0o600)
}

// download returns the directory of the module cache that has the sources.
func download(ctx context.Context, s suite) (string, error) {
	out, err := goTool(ctx, "", "mod", "download", "-json", s.module+"@"+s.version)
	if err != nil {
		return "", err
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(out, &module); err != nil {
		return "", fmt.Errorf("go mod download: %w", err)
	}
	return module.Dir, nil
}

// repositoryRoot returns the directory of this repository.
func repositoryRoot(ctx context.Context) (string, error) {
	out, err := goTool(ctx, "", "list", "-m", "-f", "{{.Dir}}", "github.com/multiprom/multiprom")
	return strings.TrimSpace(string(out)), err
}

// goTool runs the go command in dir and returns its output.
func goTool(ctx context.Context, dir string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return out, fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, stderr.Bytes())
	}
	return out, nil
}

// copySuite copies what the suite needs, and replaces imports: in the migrated copy
// those that a user would replace.
func copySuite(s suite, source, dir string, replace bool) error {
	imports := map[string]string{}
	if replace {
		for _, below := range replaced {
			imports[theirPackage+below] = ourPackage + below
		}
	}
	if s.inside == nil {
		return copyTree(source, dir, imports)
	}
	for _, pkg := range s.only {
		// Their subpackages, of which some are internal, are those of the copy.
		below := strings.TrimPrefix(pkg, "prometheus") + "/"
		imports[theirPackage+below] = theirPackage + "/peersuites/prometheus" + below
	}
	for _, pkg := range s.inside {
		to := filepath.Join(dir, filepath.FromSlash(pkg))
		if err := copyPackageTests(filepath.Join(source, filepath.FromSlash(pkg)), to, pkg, imports); err != nil {
			return err
		}
	}
	for _, pkg := range s.only {
		from := filepath.FromSlash(pkg)
		if err := copyTree(filepath.Join(source, from), filepath.Join(dir, from), imports); err != nil {
			return err
		}
	}
	return nil
}

// copyTree copies the files below from. Nested modules are left
// out: go test does not run them either.
func copyTree(from, to string, imports map[string]string) error {
	return filepath.WalkDir(from, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(from, name)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if _, err := os.Stat(filepath.Join(name, "go.mod")); err == nil && relative != "." {
				return fs.SkipDir
			}
			return nil
		}
		if !entry.Type().IsRegular() {
			return nil
		}
		return copyFile(name, filepath.Join(to, relative), imports)
	})
}

func copyFile(from, to string, imports map[string]string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if strings.HasSuffix(from, ".go") {
		if b, err = replaceImports(b, imports); err != nil {
			return fmt.Errorf("%s: %w", from, err)
		}
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o644)
}

// copyPackageTests makes a package that has nothing but the tests of pkg, with
// what they need imported.
func copyPackageTests(from, to, pkg string, imports map[string]string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	target := theirPackage + strings.TrimPrefix(pkg, "prometheus")
	if ours, replace := imports[target]; replace {
		target = ours
	}
	for _, entry := range entries {
		switch name := filepath.Join(from, entry.Name()); {
		case entry.IsDir() && entry.Name() == "testdata":
			err = copyTree(name, filepath.Join(to, "testdata"), nil)
		case strings.HasSuffix(entry.Name(), "_test.go"):
			err = copyTest(name, filepath.Join(to, entry.Name()), target, imports)
		}
		if err != nil {
			return err
		}
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	clause := fmt.Sprintf("package %s\n", path.Base(pkg))
	return os.WriteFile(filepath.Join(to, "package.go"), []byte(clause), 0o644)
}

// copyTest copies a test file. One that is in the package itself gets a dot import
// of the package under test.
func copyTest(from, to, target string, imports map[string]string) error {
	if err := copyFile(from, to, imports); err != nil {
		return err
	}
	b, err := os.ReadFile(to)
	if err != nil {
		return err
	}
	if b, err = dotImport(b, target); err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	return os.WriteFile(to, b, 0o644)
}

// modules writes the go.mod of both copies, which require the same versions.
func modules(ctx context.Context, s suite, dir, repository string) error {
	to := filepath.Join(dir, migrated)
	if s.inside != nil {
		// A path below client_golang's, so that its internal packages may be imported.
		if err := os.WriteFile(filepath.Join(to, "go.mod"), []byte("module "+theirPackage+"/peersuites\n\ngo 1.26.0\n"), 0o644); err != nil {
			return err
		}
	}
	edits := []string{"mod", "edit",
		"-require=github.com/prometheus/client_golang@" + suites[0].version,
		"-require=github.com/multiprom/multiprom/compat@v0.0.0",
		"-replace=github.com/multiprom/multiprom/compat=" + filepath.Join(repository, "compat"),
		"-replace=github.com/multiprom/multiprom=" + repository,
	}
	if _, err := goTool(ctx, to, edits...); err != nil {
		return err
	}
	if _, err := goTool(ctx, to, "mod", "tidy"); err != nil {
		return err
	}
	for _, name := range []string{"go.mod", "go.sum"} {
		if err := copyFile(filepath.Join(to, name), filepath.Join(dir, original, name), nil); err != nil {
			return err
		}
	}
	return nil
}
