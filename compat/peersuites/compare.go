package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// expectation is a failure that is documented.
type expectation struct {
	suite  string
	test   test
	reason string
}

type expectations []expectation

// readExpected reads the list of documented failures: a line for each, of suite,
// package, test and reason. Empty lines and those that begin with # are comments.
func readExpected(name string) (expectations, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var out expectations
	n := 0
	for line := range strings.Lines(string(b)) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		what, reason, found := strings.Cut(line, ": ")
		fields := strings.Fields(what)
		if !found || len(fields) != 3 || strings.TrimSpace(reason) == "" {
			return nil, fmt.Errorf("%s:%d: want `suite package test: reason`", name, n)
		}
		out = append(out, expectation{fields[0], test{fields[1], fields[2]}, strings.TrimSpace(reason)})
	}
	return out, nil
}

// of returns the reason for which a test of the suite may fail.
func (e expectations) of(suite string, t test) (reason string, found bool) {
	i := slices.IndexFunc(e, func(x expectation) bool { return x.suite == suite && x.test == t })
	if i < 0 {
		return "", false
	}
	return e[i].reason, true
}

// compare prints the tests that fail in the migrated copy and not as it is, or the
// other way round, and returns how many of them are not documented.
func compare(s suite, mode string, baseline, r *result, expected expectations, opts options, out io.Writer) (unexpected int) {
	say := func(t test, what string) {
		fmt.Fprintf(out, "    %-11s %s\n", what, t)
		if text := r.said[t]; opts.verbose && text != "" {
			fmt.Fprintln(out, indent(text))
		}
	}
	wrong := func(t test, what string) {
		unexpected++
		say(t, what)
	}
	before, after := baseline.failing(), r.failing()
	for _, t := range sortedTests(r.outcomes) {
		o, fails := after[t]
		_, failed := before[t]
		reason, documented := expected.of(s.name, t)
		documented = documented && mode == modeDirectory
		switch {
		case o == died && !failed:
			wrong(t, "DIED")
		case fails && !failed && documented:
			say(t, "expected")
			fmt.Fprintf(out, "                %s\n", reason)
		case fails && !failed:
			wrong(t, "FAILS")
		case !fails && failed && mode == modePlain:
			wrong(t, "PASSES")
		case !fails && documented:
			wrong(t, "PASSES")
		}
	}
	for _, t := range sortedTests(baseline.outcomes) {
		if _, ran := r.outcomes[t]; !ran {
			wrong(t, "NOT RUN")
		}
	}
	return unexpected
}

func sortedTests(m map[test]outcome) []test {
	var out []test
	for t := range m {
		out = append(out, t)
	}
	slices.SortFunc(out, func(a, b test) int { return strings.Compare(a.String(), b.String()) })
	return out
}

func indent(text string) string {
	return "      | " + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n      | ")
}
