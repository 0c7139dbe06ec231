//go:build unix

package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/internal/inspect"
)

// ruby is Debian's Ruby. Another one in PATH does not see its libraries.
const ruby = "/usr/bin/ruby"

func rubyCommand(dir, script string) *exec.Cmd {
	cmd := exec.Command(ruby, "testdata/ruby/"+script)
	cmd.Env = append(os.Environ(), "prometheus_multiproc_dir="+dir, "LC_ALL=C.UTF-8")
	return cmd
}

// rubyMerge is the merged values of several processes.
type rubyMerge map[string]float64

// said is one line of output of writer.rb.
type said struct {
	mode, name string
	labels     model.Metric
	value      float64
}

func (s *said) UnmarshalJSON(b []byte) error {
	labels := map[string]json.RawMessage{}
	if err := json.Unmarshal(b, &[]any{&s.mode, &s.name, &labels, &s.value}); err != nil {
		return err
	}
	s.labels = model.Metric{model.MetricNameLabel: model.LabelValue(s.name)}
	for name, raw := range labels {
		value := string(raw) // a number, true or false is written as it is
		switch {
		case value == "null":
			value = ""
		case raw[0] == '"':
			if err := json.Unmarshal(raw, &value); err != nil {
				return err
			}
		}
		s.labels[model.LabelName(name)] = model.LabelValue(value)
	}
	return nil
}

// add merges the values that a process reports.
func (m rubyMerge) add(pid int, s said) {
	if strings.HasSuffix(s.mode, "all") {
		s.labels["pid"] = model.LabelValue(strconv.Itoa(pid))
	}
	key := s.labels.String()
	switch v, there := m[key]; {
	case there && s.mode == "min":
		m[key] = min(v, s.value)
	case there && s.mode == "max":
		m[key] = max(v, s.value)
	default:
		m[key] += s.value
	}
}

// rounds has the process make that many rounds, and returns what it reports.
func rounds(t *testing.T, h *helper, n int) (out []said) {
	t.Helper()
	_, err := fmt.Fprintln(h.stdin, n)
	require.NoError(t, err)
	for h.lines.Scan() {
		if h.lines.Text() == "done" {
			return out
		}
		var s said
		require.NoError(t, json.Unmarshal(h.lines.Bytes(), &s), h.lines.Text())
		out = append(out, s)
	}
	t.Fatal("the process has ended")
	return nil
}

// rubyID is the identifier of a Ruby process: its pid and the number of its file. The
// client's own view omits the number.
var rubyID = regexp.MustCompile(`pid="(\d+)-\d+"`)

// rubyLines returns a text's samples and schemas with Ruby's pids.
func rubyLines(t *testing.T, text []byte) []string {
	t.Helper()
	return parsed(t, rubyID.ReplaceAll(text, []byte(`pid="$1"`)))
}

// TestRubyWriter compares the merged view of processes that use GitLab's client for Ruby
// with what they report, and with that client's own view.
func TestRubyWriter(t *testing.T) {
	needCommand(t, ruby)
	err := exec.Command(ruby, "-e", "require 'prometheus/client'").Run()
	need(t, err == nil, "Debian's ruby-prometheus-client-mmap is not installed")
	dir := t.TempDir()
	own := func() []string {
		cmd := rubyCommand(dir, "marshal.rb")
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		require.NoError(t, err)
		return rubyLines(t, out)
	}
	a, err := aggregate.Open(dir, aggregate.Options{NoSelfMetrics: true})
	require.NoError(t, err)
	defer a.Close()
	// compare compares the view with what the processes report, and returns it.
	compare := func(says map[int][]said) []byte {
		t.Helper()
		want := rubyMerge{}
		for pid, lines := range says {
			for _, s := range lines {
				want.add(pid, s)
			}
		}
		text := serve(t, a)
		got := rubyMerge{}
		for _, s := range vector(t, rubyID.ReplaceAll(text, []byte(`pid="$1"`))) {
			got[s.Metric.String()] = float64(s.Value)
		}
		require.Equal(t, want, got)
		for _, f := range inspect.Files(a) {
			require.NoError(t, f.Err)
		}
		return text
	}

	says := map[int][]said{}
	var writers []*helper
	for range 3 {
		w := startHelper(t, rubyCommand(dir, "writer.rb"))
		writers = append(writers, w)
		says[w.Process.Pid] = rounds(t, w, 5)
	}
	require.Equal(t, own(), rubyLines(t, compare(says)))
	for i, w := range writers {
		says[w.Process.Pid] = rounds(t, w, 70*i) // until the file grows, or not at all
	}
	require.Equal(t, own(), rubyLines(t, compare(says)))

	// One process is killed within a round. It is unknown where, but the views agree on
	// everything except the histogram, of which the client's view shows a half.
	victim := writers[0]
	before := valueOf(t, serve(t, a), "rb_rounds_total")
	_, err = fmt.Fprintln(victim.stdin, 10_000_000)
	require.NoError(t, err)
	eventually(t, "it is under way", func() bool { return valueOf(t, serve(t, a), "rb_rounds_total") > before+100 })
	victim.kill()
	text := serve(t, a)
	histogram := func(line string) bool { return strings.HasPrefix(line, "rb_latency_seconds") }
	require.Equal(t, slices.DeleteFunc(own(), histogram), slices.DeleteFunc(rubyLines(t, text), histogram))
	made, observed := valueOf(t, text, "rb_rounds_total"), valueOf(t, text, "rb_latency_seconds_count")
	require.Contains(t, []float64{made, made - 1}, observed)
	t.Logf("%v rounds, %v observed, of %d processes; %d series", made, observed, len(writers), len(vector(t, text)))

	// When it is marked, its live gauges disappear and nothing else.
	id := fmt.Sprintf("%d-0", victim.Process.Pid)
	out, err := exec.Command(mpctl(t), "mark-dead", id, "--dir", dir).CombinedOutput()
	require.NoError(t, err, "%s", out)
	text = serve(t, a)
	require.NotContains(t, string(text), `rb_liveall{pid="`+id)
	require.Contains(t, string(text), `rb_all{pid="`+id)
	require.Equal(t, made, valueOf(t, text, "rb_rounds_total"))
	require.Len(t, vectorOf(t, text, "rb_liveall"), 2)
}
