package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

const usage = `Usage: peersuites [flags]

Runs the tests of client_golang and of libraries instrumented with it, once as
they are and once with their imports replaced by this module's, and compares
which fail.

Example: peersuites --suite client_golang --mode directory

Flags:
`

// Exit codes, as doc.go has them.
const (
	exitOK         = 0
	exitUnexpected = 1
	exitFailure    = 2
)

// errUnexpected: the runs ended, and something is not as expected.
var errUnexpected = errors.New("not as expected")

var allModes = []string{modePlain, modeDirectory, modeProcesses}

// options are the flags.
type options struct {
	suites   []string
	modes    []string
	run      string
	expected string
	keep     string
	timeout  string
	verbose  bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
		os.Exit(exitOK)
	case errors.Is(err, errUnexpected):
		fmt.Fprintln(os.Stderr, "peersuites:", err)
		os.Exit(exitUnexpected)
	default:
		fmt.Fprintln(os.Stderr, "peersuites:", err)
		os.Exit(exitFailure)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	opts, err := parse(args)
	if err != nil {
		return err
	}
	expected, err := readExpected(opts.expected)
	if err != nil {
		return err
	}
	root := opts.keep
	if root == "" {
		if root, err = os.MkdirTemp("", "peersuites"); err != nil {
			return err
		}
		defer os.RemoveAll(root)
	}
	repository, err := repositoryRoot(ctx)
	if err != nil {
		return err
	}
	unexpected := 0
	for _, s := range suites {
		if len(opts.suites) > 0 && !slices.Contains(opts.suites, s.name) {
			continue
		}
		n, err := runSuite(ctx, s, filepath.Join(root, s.name), repository, opts, expected, out)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		unexpected += n
	}
	if unexpected > 0 {
		return fmt.Errorf("%d tests: %w", unexpected, errUnexpected)
	}
	return nil
}

func parse(args []string) (options, error) {
	var opts options
	flags := flag.NewFlagSet("peersuites", flag.ContinueOnError)
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), usage)
		flags.PrintDefaults()
	}
	var suiteList, modeList string
	flags.StringVar(&suiteList, "suite", "", "`names` of the suites to run, with commas; default all")
	flags.StringVar(&modeList, "mode", strings.Join(allModes, ","), "`modes` to run, with commas")
	flags.StringVar(&opts.run, "run", "", "only tests that match this `pattern`, as go test -run")
	flags.StringVar(&opts.expected, "expected", "peersuites/expected.txt", "`file` of the failures that are documented")
	flags.StringVar(&opts.keep, "keep", "", "prepare the copies in this `directory` and keep them; what is there is used again")
	flags.StringVar(&opts.timeout, "timeout", "10m", "`time` that a package's tests may take")
	flags.BoolVar(&opts.verbose, "verbose", false, "print what the failing tests said, and which tests were left out")
	if err := flags.Parse(args); err != nil {
		return opts, err
	}
	if flags.NArg() > 0 {
		return opts, fmt.Errorf("unexpected argument %q, see --help", flags.Arg(0))
	}
	opts.modes = strings.Split(modeList, ",")
	for _, m := range opts.modes {
		if !slices.Contains(allModes, m) {
			return opts, fmt.Errorf("there is no mode %q, only %s", m, strings.Join(allModes, ", "))
		}
	}
	if suiteList != "" {
		opts.suites = strings.Split(suiteList, ",")
	}
	for _, name := range opts.suites {
		if !slices.ContainsFunc(suites, func(s suite) bool { return s.name == name }) {
			return opts, fmt.Errorf("there is no suite %q", name)
		}
	}
	return opts, nil
}
