package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/multiprom/multiprom/internal/form"
	"github.com/multiprom/multiprom/internal/lifetime"
)

// ttlFlag is the flag --ttl: times to live by name of the metric.
type ttlFlag map[string]time.Duration

// add adds the flag to a command.
func (f *ttlFlag) add(cmd *cobra.Command) {
	cmd.Flags().Var(f, "ttl", "hide series of a metric that did not change for so long, such as http_requests_total=15m; for files of client_python and of programs that set no TTL; may be repeated")
}

// String, Type and Set make it a flag.
func (f *ttlFlag) String() string {
	var s []string
	for _, name := range slices.Sorted(maps.Keys(*f)) {
		s = append(s, fmt.Sprintf("%s=%v", name, (*f)[name]))
	}
	return strings.Join(s, ",")
}

func (f *ttlFlag) Type() string { return "NAME=TTL" }

var errTTL = errors.New("it must be NAME=TTL, such as http_requests_total=15m")

func (f *ttlFlag) Set(value string) error {
	if value == "" {
		return errEmpty
	}
	for item := range strings.SplitSeq(value, ",") {
		name, text, _ := strings.Cut(item, "=")
		d, err := time.ParseDuration(text)
		if err != nil || d == 0 {
			return errTTL
		}
		if err := errors.Join(form.CheckName(name), lifetime.Check(d)); err != nil {
			return fmt.Errorf("%s %w", name, err)
		}
		if _, twice := (*f)[name]; twice {
			return fmt.Errorf("%s has a TTL already", name)
		}
		if *f == nil {
			*f = ttlFlag{}
		}
		(*f)[name] = d
	}
	return nil
}
