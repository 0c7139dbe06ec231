package integration

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/exposition"
	"github.com/multiprom/multiprom/exposition/textparse"
	"github.com/multiprom/multiprom/internal/form"
	"github.com/multiprom/multiprom/internal/randfamily"
	"github.com/multiprom/multiprom/metric"
)

// parseScript parses a list of OpenMetrics texts with client_python's parser and prints what
// it found: a list of lines for each text.
const parseScript = `
import json, sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families

def time(t):
    return "" if t is None else " %d.%09d" % (t.sec, t.nsec)

def number(v):
    return repr(float(v))

def labels(ls):
    return json.dumps(sorted(ls.items()), ensure_ascii=False)

out = []
for text in json.load(sys.stdin):
    lines = []
    for f in text_string_to_metric_families(text):
        lines.append(["|".join([f.type, f.name, f.unit, f.documentation])])
        for s in f.samples:
            line = [s.name, labels(s.labels), number(s.value), time(s.timestamp)]
            if s.exemplar:
                line += [labels(s.exemplar.labels), number(s.exemplar.value), time(s.exemplar.timestamp)]
            lines.append(line)
    out.append(lines)
json.dump(out, sys.stdout)
`

// TestClientPythonReadsOpenMetrics encodes random families as OpenMetrics. The parser of
// Debian's client_python, which is stricter than a server, must find the same as package
// textparse.
func TestClientPythonReadsOpenMetrics(t *testing.T) {
	const python = "/usr/bin/python3" // another one in PATH does not see Debian's packages
	_, missing := os.Stat(python)
	if missing == nil {
		missing = exec.Command(python, "-c", "import prometheus_client.openmetrics.parser").Run()
	}
	need(t, missing == nil, "python3-prometheus-client is not installed")

	var texts []string
	var want [][][]string
	for seed := range uint64(300) {
		families := randfamily.New(seed).Families(false)
		for _, f := range families {
			for i := range f.Series {
				readable(f.Type, &f.Series[i])
			}
		}
		text, err := exposition.Append(nil, families, exposition.Options{ContentType: exposition.ContentType{Format: exposition.OpenMetrics100}, Created: true})
		if omission := (*exposition.OmissionError)(nil); !errors.As(err, &omission) {
			require.NoError(t, err)
		}
		parsed, err := textparse.Parse(bytes.NewReader(text), textparse.Options{Format: textparse.OpenMetrics})
		require.NoError(t, err)
		texts = append(texts, string(text))
		want = append(want, found(t, parsed))
	}

	input, err := json.Marshal(texts)
	require.NoError(t, err)
	cmd := exec.Command(python, "-c", parseScript)
	cmd.Env = append(os.Environ(), "PYTHONIOENCODING=utf-8")
	cmd.Stdin = bytes.NewReader(input)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	output, err := cmd.Output()
	require.NoError(t, err, "%s", stderr.String())
	var got [][][]string
	require.NoError(t, json.Unmarshal(output, &got))
	require.Len(t, got, len(want))
	for i := range want {
		require.Equal(t, sorted(t, want[i]), sorted(t, got[i]), "%s", texts[i])
	}
}

// readable changes s so that that parser reads it correctly.
func readable(typ metric.Type, s *metric.Series) {
	if typ == metric.Info {
		s.Timestamp = time.Time{} // it takes all series for one, in which all or none must have a timestamp
	}
	exemplars := []*metric.Exemplar{s.Exemplar}
	for _, b := range s.Buckets {
		exemplars = append(exemplars, b.Exemplar)
	}
	for _, x := range exemplars {
		if x == nil {
			continue
		}
		for i := range x.Labels { // it ends an exemplar's labels at the first brace, even inside quotes
			x.Labels[i].Value = strings.ReplaceAll(x.Labels[i].Value, "}", "]")
		}
	}
}

// found returns families in the form of the script.
func found(t *testing.T, families []*metric.Family) (lines [][]string) {
	at := func(at time.Time) string {
		if at.IsZero() {
			return ""
		}
		return fmt.Sprintf(" %d.%09d", at.Unix(), at.Nanosecond())
	}
	labels := func(ls metric.Labels) string {
		pairs := [][2]string{}
		for _, l := range ls {
			pairs = append(pairs, [2]string{l.Name, l.Value})
		}
		b, err := json.Marshal(pairs)
		require.NoError(t, err)
		return string(b)
	}
	for _, f := range families {
		lines = append(lines, []string{fmt.Sprintf("%s|%s|%s|%s", f.Type, f.Name, f.Unit, f.Help)})
		for i := range f.Series {
			s := &f.Series[i]
			if !s.Created.IsZero() {
				v := float64(s.Created.Unix()) + float64(s.Created.Nanosecond())/1e9
				lines = append(lines, []string{f.Name + "_created", labels(s.Labels), form.FormatFloat(v), at(s.Timestamp)})
			}
			one := metric.Family{Name: f.Name, Type: f.Type, Series: f.Series[i : i+1]}
			for sample := range one.Samples() {
				if s.NoSum && f.Type != metric.Summary && (sample.Name == f.Name+"_count" || sample.Name == f.Name+"_gcount") {
					continue // it equals the bucket +Inf
				}
				line := []string{sample.Name, labels(sample.Labels), form.FormatFloat(sample.Value), at(sample.Timestamp)}
				if x := sample.Exemplar; x != nil {
					line = append(line, labels(x.Labels), form.FormatFloat(x.Value), at(x.Timestamp))
				}
				lines = append(lines, line)
			}
		}
	}
	return lines
}

// sorted returns sorted lines with numbers and labels in normal form.
func sorted(t *testing.T, lines [][]string) (out []string) {
	t.Helper()
	for _, line := range lines {
		for i, text := range line {
			if v, err := strconv.ParseFloat(text, 64); err == nil {
				line[i] = form.FormatFloat(v + 0) // that parser reads -0 as the integer 0
			}
			var pairs [][2]string
			if i > 0 && json.Unmarshal([]byte(text), &pairs) == nil {
				for j := range pairs { // le="1.0" and 1
					if v, err := strconv.ParseFloat(pairs[j][1], 64); err == nil && (pairs[j][0] == "le" || pairs[j][0] == "quantile") {
						pairs[j][1] = form.FormatFloat(v)
					}
				}
				slices.SortFunc(pairs, func(a, b [2]string) int { return slices.Compare(a[:], b[:]) })
				line[i] = fmt.Sprintf("%q", pairs)
			}
		}
		out = append(out, fmt.Sprintf("%q", line))
	}
	slices.Sort(out)
	return out
}
