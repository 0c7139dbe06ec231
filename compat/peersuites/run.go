package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// The modes in which the migrated copy is run.
const (
	modePlain     = "plain"     // PROMETHEUS_MULTIPROC_DIR is not set
	modeDirectory = "directory" // a fresh directory for each package
)

const envDirectory = "PROMETHEUS_MULTIPROC_DIR"

// outcome is what became of a test.
type outcome string

const (
	passed  outcome = "pass"
	failed  outcome = "fail"
	skipped outcome = "skip"
	died    outcome = "panic or hang" // it ended the process of all tests
)

// test is one top-level test of a package, which is relative to its module.
type test struct{ pkg, name string }

func (t test) String() string { return t.pkg + " " + t.name }

// result is what became of all tests of one run.
type result struct {
	outcomes map[test]outcome
	said     map[test]string
}

func (r *result) failing() map[test]outcome {
	out := map[test]outcome{}
	for t, o := range r.outcomes {
		if o == failed || o == died {
			out[t] = o
		}
	}
	return out
}

// runTests runs the tests of the packages one package after the other, since each
// has a directory of its own.
func runTests(ctx context.Context, s suite, dir, mode string, opts options) (*result, error) {
	out, err := goTool(ctx, dir, append([]string{"list", "-mod=mod", "-test=false"}, s.packages...)...)
	if err != nil {
		return nil, err
	}
	module, err := goTool(ctx, dir, "list", "-mod=mod", "-m")
	if err != nil {
		return nil, err
	}
	r := &result{outcomes: map[test]outcome{}, said: map[test]string{}}
	for pkg := range strings.Lines(string(out)) {
		pkg = strings.TrimSpace(pkg)
		name := strings.Trim(strings.TrimPrefix(pkg, strings.TrimSpace(string(module))), "/")
		if name == "" {
			name = "."
		}
		if err := r.runPackage(ctx, dir, pkg, name, mode, opts); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// maxDeaths bounds how often a package is run again without the tests that ended
// the process.
const maxDeaths = 30

// runPackage runs the tests of a package. A test that ends the process, by a panic
// or because it hangs, takes those after it with it: they are run again without it.
func (r *result) runPackage(ctx context.Context, dir, pkg, name, mode string, opts options) error {
	var skip []string
	for range maxDeaths {
		dead, err := r.runOnce(ctx, dir, pkg, name, mode, skip, opts)
		if err != nil || len(dead) == 0 {
			return err
		}
		for _, d := range dead {
			skip = append(skip, regexp.QuoteMeta(d))
		}
	}
	return fmt.Errorf("%s: more than %d tests end the process", pkg, maxDeaths)
}

// event is a line of go test -json.
type event struct {
	Action string
	Test   string
	Output string
}

// runOnce runs the tests of a package but those to skip, and returns those that
// ended the process.
func (r *result) runOnce(ctx context.Context, dir, pkg, name, mode string, skip []string, opts options) (dead []string, err error) {
	args := []string{"test", "-mod=mod", "-json", "-count=1", "-vet=off", "-timeout=" + opts.timeout}
	if opts.run != "" {
		args = append(args, "-run="+opts.run)
	}
	if len(skip) > 0 {
		args = append(args, "-skip=^("+strings.Join(skip, "|")+")$")
	}
	cmd := exec.CommandContext(ctx, "go", append(args, pkg)...)
	cmd.Dir = dir
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(strings.ToUpper(v), envDirectory+"=")
	}), "GOWORK=off")
	if mode == modeDirectory {
		metrics, err := os.MkdirTemp("", "peersuites-metrics")
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(metrics)
		cmd.Env = append(cmd.Env, envDirectory+"="+metrics)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		return nil, err
	}
	running := map[string]bool{}
	said, packageSaid, built := map[string]string{}, "", false
	decoder := json.NewDecoder(bytes.NewReader(out))
	for {
		var e event
		if err := decoder.Decode(&e); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("go test -json %s: %w\n%s", pkg, err, stderr.Bytes())
		}
		top, _, sub := strings.Cut(e.Test, "/")
		switch {
		case e.Action == "output" && e.Test == "":
			packageSaid += e.Output
		case e.Action == "output":
			said[top] += e.Output
		case e.Action == "run" && !sub:
			running[top], built = true, true
		case (e.Action == "pass" || e.Action == "fail" || e.Action == "skip") && e.Test != "" && !sub:
			delete(running, top)
			r.outcomes[test{name, top}] = outcome(e.Action)
			if e.Action == "fail" {
				if strings.Contains(said[top], "\npanic: ") || strings.Contains(said[top], "panic: test timed out") {
					r.outcomes[test{name, top}] = died
					dead = append(dead, top)
				}
				r.said[test{name, top}] = said[top]
			}
		case e.Action == "fail" && e.Test == "" && !built && len(said) == 0:
			return nil, fmt.Errorf("%s: no test could be run\n%s%s", pkg, packageSaid, stderr.Bytes())
		}
	}
	for top := range running { // the process ended without a word about them
		r.outcomes[test{name, top}] = died
		r.said[test{name, top}] = said[top] + packageSaid
		dead = append(dead, top)
	}
	return dead, nil
}

// runSuite runs a suite in all modes, prints what there is to say, and returns how
// many tests are not as expected.
func runSuite(ctx context.Context, s suite, dir, repository string, opts options, expected expectations, out io.Writer) (unexpected int, err error) {
	leftOut, err := prepare(ctx, s, dir, repository)
	if err != nil {
		return 0, err
	}
	fmt.Fprintf(out, "%s %s\n", s.name, s.version)
	if slices.Contains(opts.modes, modeProcesses) && s.operate != nil {
		if unexpected, err = compareProcesses(ctx, s, dir, out); err != nil {
			return 0, fmt.Errorf("%s: %w", modeProcesses, err)
		}
	}
	if !slices.Contains(opts.modes, modePlain) && !slices.Contains(opts.modes, modeDirectory) {
		return unexpected, nil
	}
	baseline, err := runTests(ctx, s, filepath.Join(dir, original), modePlain, opts)
	if err != nil {
		return 0, fmt.Errorf("as it is: %w", err)
	}
	fmt.Fprintf(out, "  as it is       %s\n", summary(baseline))
	for _, t := range sortedTests(baseline.failing()) { // what they would show is not known
		fmt.Fprintf(out, "    fails       %s\n", t)
		if opts.verbose {
			fmt.Fprintln(out, indent(baseline.said[t]))
		}
	}
	if len(leftOut) > 0 {
		fmt.Fprintf(out, "  left out       %d tests that need what is not exported\n", len(leftOut))
		if opts.verbose {
			for _, t := range leftOut {
				fmt.Fprintf(out, "    %s\n", t)
			}
		}
	}
	for _, mode := range opts.modes {
		if mode == modeProcesses {
			continue
		}
		r, err := runTests(ctx, s, filepath.Join(dir, migrated), mode, opts)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", mode, err)
		}
		fmt.Fprintf(out, "  %-14s %s\n", mode, summary(r))
		unexpected += compare(s, mode, baseline, r, expected, opts, out)
	}
	return unexpected, nil
}

// summary counts tests by package and outcome.
func summary(r *result) string {
	byPackage := map[string][2]int{}
	pass, all := 0, 0
	for t, o := range r.outcomes {
		n := byPackage[t.pkg]
		if o == passed || o == skipped {
			n[0]++
			pass++
		}
		n[1]++
		all++
		byPackage[t.pkg] = n
	}
	var parts []string
	for _, pkg := range sortedKeys(byPackage) {
		n := byPackage[pkg]
		parts = append(parts, fmt.Sprintf("%s %d/%d", pkg, n[0], n[1]))
	}
	return fmt.Sprintf("%d of %d pass: %s", pass, all, strings.Join(parts, ", "))
}
