package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/multiprom/multiprom/internal/options"
)

// A rule checks what was typed for a flag. It returns the text that the flag's own type
// parses, or an error that says what is wrong and what to do.
type rule func(typed string) (string, error)

// obey sets the rule of flags. An invalid value is an error that names the flag, before
// the command does anything. TestFlagValues has a row for each flag.
func obey(cmd *cobra.Command, r rule, flags ...string) {
	for _, name := range flags {
		f := cmd.Flags().Lookup(name)
		f.Value = &ruledFlag{f.Value, r}
		_, err := r(f.DefValue)
		if f.DefValue == "[]" || err != nil && (f.DefValue == "0" || f.DefValue == "0s") {
			f.DefValue = "" // the help shows none: leaving the flag out is not the same as 0
		}
	}
}

type ruledFlag struct {
	pflag.Value
	rule rule
}

// Set applies the rule.
func (f *ruledFlag) Set(typed string) error {
	text, err := f.rule(typed)
	if err != nil {
		return err
	}
	return f.Value.Set(text)
}

var errEmpty = errors.New("it is empty: name one, or leave the flag out; was a variable of the shell unset?")

func notEmpty(typed string) (string, error) {
	if strings.TrimSpace(typed) == "" {
		return "", errEmpty
	}
	return typed, nil
}

// noLimit is what a user types for no limit. It is the value of NoLimit in the options
// of all packages.
var noLimit = strconv.Itoa(options.NoLimit)

// atLeast accepts whole numbers from least on. The error ends with wayOut.
func atLeast(least int, wayOut string) rule {
	return func(typed string) (string, error) {
		n, err := strconv.Atoi(typed)
		if err != nil || n < least {
			return "", fmt.Errorf("it must be a whole number, at least %d%s", least, wayOut)
		}
		return typed, nil
	}
}

// longerThanZero accepts positive durations.
func longerThanZero(wayOut string) rule {
	return func(typed string) (string, error) {
		if d, err := time.ParseDuration(typed); err != nil || d <= 0 {
			return "", fmt.Errorf("it must be a duration like 30s or 5m, longer than 0%s", wayOut)
		}
		return typed, nil
	}
}

// orNoLimit also accepts -1.
func orNoLimit(r rule, duration bool) rule {
	return func(typed string) (string, error) {
		switch {
		case typed == noLimit && duration:
			return time.Duration(options.NoLimit).String(), nil
		case typed == noLimit:
			return typed, nil
		}
		return r(typed)
	}
}

// zeroKeepsNone also accepts 0, which stands for the default in the options struct but
// not here.
func zeroKeepsNone(r rule, duration bool) rule {
	return func(typed string) (string, error) {
		d, err := time.ParseDuration(typed)
		switch {
		case err == nil && d == 0 && duration:
			return time.Duration(options.KeepNone).String(), nil
		case typed == "0":
			return strconv.Itoa(options.KeepNone), nil
		}
		return r(typed)
	}
}

// oneOf accepts one of the words.
func oneOf(words ...string) rule {
	return func(typed string) (string, error) {
		if !slices.Contains(words, typed) {
			last := len(words) - 1
			return "", fmt.Errorf("it must be %s or %s", strings.Join(words[:last], ", "), words[last])
		}
		return typed, nil
	}
}

// obeyWords is obey for a flag that accepts one of the words, with completion.
func obeyWords(cmd *cobra.Command, flag string, words ...string) {
	obey(cmd, oneOf(words...), flag)
	complete(cmd, flag, words...)
}

// existing accepts the path of a file or directory that exists.
func existing(typed string) (string, error) {
	if _, err := notEmpty(typed); err != nil {
		return "", err
	}
	_, err := os.Stat(typed)
	return typed, err
}

// address accepts an address to listen on: HOST:PORT, or a URL with one of the schemes.
func address(schemes ...string) rule {
	return func(typed string) (string, error) {
		rest := typed
		if scheme, after, ok := strings.Cut(typed, "://"); ok {
			if !slices.Contains(schemes, scheme) || after == "" {
				return "", fmt.Errorf("it must be HOST:PORT, or begin with %s://", strings.Join(schemes, ":// or "))
			}
			if !strings.HasPrefix(scheme, "tcp") {
				return typed, nil
			}
			rest = after
		}
		_, port, err := net.SplitHostPort(rest)
		if err == nil {
			_, err = net.LookupPort("tcp", port)
		}
		if err != nil {
			return "", fmt.Errorf("it must be HOST:PORT, or :PORT for all interfaces, or begin with %s://", strings.Join(schemes, ":// or "))
		}
		return typed, nil
	}
}

// group accepts a group of the system.
func group(typed string) (string, error) {
	if _, err := strconv.ParseUint(typed, 10, 31); err == nil {
		return typed, nil
	}
	if _, err := user.LookupGroup(typed); err != nil {
		return "", fmt.Errorf("%w: give the name of a group, or its number", err)
	}
	return typed, nil
}

// argumentsNotEmpty rejects empty arguments of a command, such as an unset shell
// variable. The arguments of run's program are not checked.
func argumentsNotEmpty(cmd *cobra.Command) {
	check := cmd.Args
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		for i, a := range args {
			if strings.TrimSpace(a) == "" && (i == 0 || cmd.Name() != "run") {
				return misused(cmd, "argument %d is empty: was a variable of the shell unset?", i+1)
			}
		}
		if check == nil {
			return nil
		}
		return check(cmd, args)
	}
}
