package main

import (
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/metric"
)

// ok: the value is accepted. Any other text in a row is part of the error.
const ok = "accepted"

// answers is how a flag responds to values that went wrong in a shell: 0, -7, an empty
// string and nonsense; and to -1, which is no limit or an error.
type answers struct{ zero, minus7, empty, nonsense, minus1 string }

func all(s string) answers { return answers{s, s, s, s, s} }

var (
	boolean = answers{ok, "invalid syntax", "invalid syntax", "invalid syntax", "invalid syntax"}
	text    = answers{ok, ok, "it is empty", ok, ok}
	path    = answers{"no such file", "no such file", "it is empty", "no such file", "no such file"}
	listens = all("it must be HOST:PORT")
	period  = all("it must be a duration like 30s or 5m, longer than 0")
	one     = all("it must be a whole number, at least 1")
	users   = answers{ok, "give the name of a user", "it is empty", "give the name of a user", "give the name of a user"}
	forms   = all("it must be text, openmetrics, openmetrics2 or protobuf")
	schemes = all("it must be underscores, dots")
)

// flagAnswers has a row for every flag of every command; "* FLAG" is for all commands that
// have the flag. Boolean flags need none.
var flagAnswers = map[string]answers{
	"* --dir":               text,
	"* --trust-uid":         users,
	"* --every":             period,
	"* --ttl":               {"it must be NAME=TTL", "it must be NAME=TTL", "it is empty", "it must be NAME=TTL", "it must be NAME=TTL"},
	"* --escaping":          schemes,
	"* --timeout":           period,
	"* --keep-dead":         {ok, "or -1 to keep all", "or -1 to keep all", "or -1 to keep all", ok},
	"* --keep-dead-for":     {ok, "or 0 to keep none, or -1 for ever", "longer than 0", "longer than 0", ok},
	"* --compact-period":    all("say --no-compact"),
	"* --compact-threshold": all("say --no-compact"),

	"gc --drop-family": text,

	"families --values": {"at least 1", "at least 1", "at least 1", "at least 1", "at least 1"},
	"* --record":        all("leave it out to record nothing"),
	"* --record-dir":    text,
	"* --record-bytes":  all("at least 1048576"),
	"replay --at":       {ok, "it must be a duration before the end", "it must be a duration before the end", "it must be a duration before the end", "it must be a duration before the end"},
	"replay --last":     period,
	"replay --rate":     text,
	"replay --process":  text,

	"top --interval":     period,
	"top --silent-after": period,

	"demo --workers":  one,
	"demo --clients":  one,
	"demo --duration": {"or -1 for until interrupted", "or -1 for until interrupted", "a duration", "a duration", ok},
	"demo --reload":   period,
	"demo --metrics":  listens,
	"demo --lose":     {ok, "at least 0", "at least 0", "at least 0", "at least 0"},

	"run --on-start":   all("it must be compact, wipe or refuse"),
	"run --kill-mode":  all("it must be mixed, group or process"),
	"run --process-id": all("it must be pid or slot"),
	"run --workers":    all("leave it out for one per CPU"),
	"run --drain":      period,
	"run --listen":     listens,
	"run --metrics":    listens,
	"run --group":      {ok, "give the name of a group", "give the name of a group", "give the name of a group", "give the name of a group"},
	"* --dir-mode":     {"its owner could not use it", "is not octal", "is not octal", "is not octal", "is not octal"},
	"run --file-mode":  {"its owner could not read", "is not octal", "is not octal", "is not octal", "is not octal"},

	"serve --web.listen-address": listens,
	"serve --web.config.file":    path,
	"serve --web.max-requests":   {"or -1 for no limit", "or -1 for no limit", "whole number", "whole number", ok},
	"serve --web.timeout":        {"or -1 for no limit", "or -1 for no limit", "a duration", "a duration", ok},

	"dump --format": forms,
	"push --format": all("it must be text or protobuf"),
	"* --match":     {ok, ok, "it is empty", ok, ok},

	"push --job":             text,
	"push --grouping":        {"must be formatted as key=value", "must be formatted as key=value", "it is empty", "must be formatted as key=value", "must be formatted as key=value"},
	"push --username":        text,
	"push --password-file":   path,
	"push --token-file":      path,
	"push --tls-ca":          path,
	"push --tls-cert":        path,
	"push --tls-key":         path,
	"push --tls-server-name": text,
	"push --compression":     all("it must be none, gzip or snappy"),

	"* --send-label":                 {"must be formatted as key=value", "must be formatted as key=value", "it is empty", "must be formatted as key=value", "must be formatted as key=value"},
	"remote-write --label":           {"must be formatted as key=value", "must be formatted as key=value", "it is empty", "must be formatted as key=value", "must be formatted as key=value"},
	"otlp --label":                   {"must be formatted as key=value", "must be formatted as key=value", "it is empty", "must be formatted as key=value", "must be formatted as key=value"},
	"* --send-username":              text,
	"remote-write --username":        text,
	"otlp --username":                text,
	"* --send-password-file":         path,
	"remote-write --password-file":   path,
	"otlp --password-file":           path,
	"* --send-token-file":            path,
	"remote-write --token-file":      path,
	"otlp --token-file":              path,
	"* --send-header":                {"must be formatted as key=value", "must be formatted as key=value", "it is empty", "must be formatted as key=value", "must be formatted as key=value"},
	"remote-write --header":          {"must be formatted as key=value", "must be formatted as key=value", "it is empty", "must be formatted as key=value", "must be formatted as key=value"},
	"otlp --header":                  {"must be formatted as key=value", "must be formatted as key=value", "it is empty", "must be formatted as key=value", "must be formatted as key=value"},
	"* --send-tls-ca":                path,
	"remote-write --tls-ca":          path,
	"otlp --tls-ca":                  path,
	"* --send-tls-cert":              path,
	"remote-write --tls-cert":        path,
	"otlp --tls-cert":                path,
	"* --send-tls-key":               path,
	"remote-write --tls-key":         path,
	"otlp --tls-key":                 path,
	"* --send-tls-server-name":       text,
	"remote-write --tls-server-name": text,
	"otlp --tls-server-name":         text,
	"* --send-timeout":               period,
	"* --send-queue":                 text,
	"remote-write --queue":           text,
	"otlp --queue":                   text,
	"* --otlp":                       text,
	"* --send-resource":              {"must be formatted as key=value", "must be formatted as key=value", "it is empty", "must be formatted as key=value", "must be formatted as key=value"},
	"otlp --resource":                {"must be formatted as key=value", "must be formatted as key=value", "it is empty", "must be formatted as key=value", "must be formatted as key=value"},
	"* --send-every":                 period,
	"* --remote-write":               text,
	"* --protocol":                   all("it must be 1.0, 2.0 or auto"),
	"* --native-histograms":          all("it must be auto, always or never"),

	"textfile --tmpdir": path,
	"textfile --label":  {"must be formatted as key=value", "must be formatted as key=value", "it is empty", "must be formatted as key=value", "must be formatted as key=value"},

	"graphite --prefix":  all(ok), // an empty prefix is valid
	"graphite --network": all("it must be tcp or udp"),
}

// TestFlagValues: an invalid value is an error that names the flag and says what to do,
// before the command does anything. A flag without a row fails.
func TestFlagValues(t *testing.T) {
	rows := map[string]bool{}
	for _, verb := range newRoot().Commands() {
		verb.Flags().VisitAll(func(f *pflag.Flag) {
			row, found := flagAnswers["* --"+f.Name], false
			for _, key := range []string{"* --" + f.Name, verb.Name() + " --" + f.Name} {
				if r, in := flagAnswers[key]; in {
					row, found, rows[key] = r, true, true
				}
			}
			if !found && f.Value.Type() == "bool" {
				row, found = boolean, true
			}
			if !found {
				t.Errorf("mpctl %s --%s: no row in flagAnswers says what it makes of 0, -7, nothing and nonsense", verb.Name(), f.Name)
				return
			}
			for value, want := range map[string]string{"0": row.zero, "-7": row.minus7, "": row.empty, "nonsense": row.nonsense, "-1": row.minus1} {
				arg := "--" + f.Name + "=" + value
				if want == ok {
					cmd := command(verb.Name())
					require.NoError(t, cmd.ParseFlags([]string{arg}), "mpctl %s %s", verb.Name(), arg)
					require.True(t, cmd.Flag(f.Name).Changed)
					continue
				}
				code, out := mpctl(t, verb.Name(), arg)
				require.Equal(t, exitError, code, "mpctl %s %s: %s", verb.Name(), arg, out)
				require.Contains(t, out, "--"+f.Name)
				require.Contains(t, out, want, "mpctl %s %s", verb.Name(), arg)
			}
			// The default that the help shows must be an accepted value.
			if f.DefValue != "" && f.DefValue != "[]" && f.Value.Type() != "bool" {
				require.NoError(t, command(verb.Name()).ParseFlags([]string{"--" + f.Name + "=" + strings.Trim(f.DefValue, "[]")}), "the default of mpctl %s --%s", verb.Name(), f.Name)
			}
		})
	}
	for key := range flagAnswers {
		require.True(t, rows[key], "%s: there is no such flag", key)
	}
}

func command(name string) *cobra.Command {
	for _, cmd := range newRoot().Commands() {
		if cmd.Name() == name {
			return cmd
		}
	}
	panic("no verb " + name)
}

// TestEmptyArguments: an unset shell variable is not a PID, file or URL.
func TestEmptyArguments(t *testing.T) {
	taking := 0
	for _, verb := range newRoot().Commands() {
		if verb.Args(verb, []string{"x"}) != nil {
			continue
		}
		taking++
		for _, empty := range []string{"", " ", "\t"} {
			code, out := mpctl(t, verb.Name(), "--", empty)
			require.Equal(t, exitError, code, out)
			require.Contains(t, out, verb.Name()+": argument 1 is empty")
		}
	}
	require.GreaterOrEqual(t, taking, 7)
	run := command("run")
	require.NoError(t, run.Args(run, []string{"printf", ""}), "the arguments of a program are its own")
}

// TestNoLimitAndNone: in flags, -1 and 0 mean what the help says.
func TestNoLimitAndNone(t *testing.T) {
	for typed, want := range map[string][2]int{
		"-1": {metric.NoLimit, metric.NoLimit}, "0": {metric.KeepNone, metric.KeepNone},
	} {
		var o aggregate.CompactOptions
		cmd := &cobra.Command{}
		addCompactFlags(cmd, &o)
		require.Equal(t, 1000, o.KeepDead)
		require.EqualValues(t, metric.NoLimit, o.KeepDeadFor)
		require.NoError(t, cmd.ParseFlags([]string{"--keep-dead", typed, "--keep-dead-for", typed}))
		require.Equal(t, want[0], o.KeepDead)
		require.Equal(t, time.Duration(want[1]), o.KeepDeadFor)
	}
	var o aggregate.CompactOptions
	cmd := &cobra.Command{}
	addCompactFlags(cmd, &o)
	require.NoError(t, cmd.ParseFlags([]string{"--keep-dead", "7", "--keep-dead-for", "0s"}))
	require.Equal(t, 7, o.KeepDead)
	require.EqualValues(t, metric.KeepNone, o.KeepDeadFor)
	require.Contains(t, cmd.Flags().FlagUsages(), "(default -1)")
}
