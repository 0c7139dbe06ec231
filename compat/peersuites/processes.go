package main

import (
	"bufio"
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// modeProcesses compares four processes of the migrated copy with one of the other.
const modeProcesses = "processes"

const (
	processes  = 4
	operations = 60 // of each process
	patience   = 2 * time.Minute
)

//go:embed programs
var programs embed.FS

// compareProcesses builds the suite's program in both copies and gives one process of
// the original and four of the migrated copy the same operations. What each of the four
// serves, as the library itself serves it, must be what the one serves. It returns how
// many series are not.
func compareProcesses(ctx context.Context, s suite, dir string, out io.Writer) (unexpected int, err error) {
	binaries := map[string]string{}
	for _, side := range []string{original, migrated} {
		if binaries[side], err = buildProgram(ctx, s, filepath.Join(dir, side), side == migrated); err != nil {
			return 0, err
		}
	}
	metrics, err := os.MkdirTemp("", "peersuites-metrics")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(metrics)

	one, err := startProcess(ctx, s, binaries[original], "")
	if err != nil {
		return 0, err
	}
	defer one.end()
	var four []*process
	for range processes {
		p, err := startProcess(ctx, s, binaries[migrated], metrics)
		if err != nil {
			return 0, err
		}
		defer p.end()
		four = append(four, p)
	}
	for i, p := range four {
		for _, to := range []*process{one, p} {
			if err := s.operate(to, i); err != nil {
				return 0, err
			}
		}
	}
	want := samples{}
	for i, p := range four {
		var different []string
		different, want, err = until(s, one, p)
		if err != nil {
			return 0, err
		}
		for _, d := range different[:min(len(different), 10)] {
			fmt.Fprintf(out, "    DIFFERS     process %d: %s\n", i, d)
		}
		unexpected += len(different)
	}
	fmt.Fprintf(out, "  %-14s %d of %d processes show the %d samples of one: %d differ\n", modeProcesses, processes, processes, len(want), unexpected)
	return unexpected, nil
}

// buildProgram builds what is run: the module's own command, or the program of
// programs/ that uses the library.
func buildProgram(ctx context.Context, s suite, dir string, replace bool) (string, error) {
	pkg := "."
	if s.command == nil {
		pkg = "./peersuitesprogram"
		source, err := programs.ReadFile("programs/" + s.name + ".go.txt")
		if err != nil {
			return "", err
		}
		if replace {
			imports := map[string]string{}
			for _, below := range replaced {
				imports[theirPackage+below] = ourPackage + below
			}
			if source, err = replaceImports(source, imports); err != nil {
				return "", err
			}
		}
		if err := os.MkdirAll(filepath.Join(dir, pkg), 0o755); err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(dir, pkg, "main.go"), source, 0o644); err != nil {
			return "", err
		}
	}
	binary := filepath.Join(dir, "peersuitesprogram.exe")
	_, err := goTool(ctx, dir, "build", "-mod=mod", "-o", binary, pkg)
	return binary, err
}

// process is a program that runs.
type process struct {
	address string // of HTTP
	other   string // of what else it listens on
	cmd     *exec.Cmd
	exited  chan struct{}
	said    bytes.Buffer
}

func startProcess(ctx context.Context, s suite, binary, dir string) (*process, error) {
	p := &process{exited: make(chan struct{})}
	for _, a := range []*string{&p.address, &p.other} {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		*a = l.Addr().String()
		l.Close()
	}
	args := []string{p.address}
	if s.command != nil {
		args = s.command(p)
	}
	p.cmd = exec.CommandContext(ctx, binary, args...)
	p.cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(strings.ToUpper(v), envDirectory+"=") })
	if dir != "" {
		p.cmd.Env = append(p.cmd.Env, envDirectory+"="+dir)
	}
	p.cmd.Stdout, p.cmd.Stderr = &p.said, &p.said
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.exited)
	}()
	deadline := time.Now().Add(patience)
	for {
		_, err := p.get("/metrics")
		if err == nil {
			return p, nil
		}
		select {
		case <-p.exited:
			return nil, fmt.Errorf("%s ended:\n%s", binary, p.said.Bytes())
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			p.end()
			return nil, fmt.Errorf("%s does not answer: %w", binary, err)
		}
	}
}

func (p *process) end() {
	_ = p.cmd.Process.Kill()
	<-p.exited
}

func (p *process) get(path string) ([]byte, error) {
	req, err := http.NewRequest(http.MethodGet, "http://"+p.address+path, nil)
	if err != nil {
		return nil, err
	}
	req.Host = "service" // not the port, which some libraries have in a label
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

// requests are the operations of a program that serves HTTP. No two rounds have the
// same.
func requests(p *process, round int) error {
	for i := range operations {
		path := fmt.Sprintf("/work/%c?code=%d", 'a'+(i*7+round)%5, 200+100*((i+round)%4))
		if _, err := p.get(path); err != nil {
			return err
		}
	}
	return nil
}

// statsdLines are the operations of statsd_exporter: counters, timers and changes of
// gauges, of several label sets for one name.
func statsdLines(p *process, round int) error {
	conn, err := net.Dial("tcp", p.other)
	if err != nil {
		return err
	}
	defer conn.Close()
	w := bufio.NewWriter(conn)
	for i := range operations {
		tag := []string{"", "|#a:x", "|#b:y", "|#a:x,b:z", "|#c:" + fmt.Sprint(i%3)}[(i+round)%5]
		fmt.Fprintf(w, "hits:%d|c%s\n", i%4+1, tag)
		fmt.Fprintf(w, "took:%d|ms%s\n", 10*(i+round), tag)
		fmt.Fprintf(w, "level:+%d|g%s\n", i%3, tag)
		if i%10 == 0 {
			fmt.Fprintf(w, "hits:1|g\nthis is no line\n") // another type for the name, and an error
		}
	}
	return w.Flush()
}

// samples are what an exposition says, by what it is called.
type samples map[string]string

// samples returns what the process serves, without what says of one process how long
// something took.
func (p *process) samples(s suite) (samples, error) {
	text, err := p.get("/metrics")
	if err != nil {
		return nil, err
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("%w in\n%s", err, text)
	}
	out := samples{}
	for name, f := range families {
		if slices.ContainsFunc(append(ofTheProcess, s.apart...), func(prefix string) bool { return strings.HasPrefix(name, prefix) }) {
			continue
		}
		out["help of "+name] = f.GetHelp()
		for _, m := range f.Metric {
			out.add(f, m)
		}
	}
	return out, nil
}

// ofTheProcess are prefixes of families that say something of one process, or of the
// one that answers.
var ofTheProcess = []string{"go_", "process_", "promhttp_", "multiprom_"}

func (s samples) add(f *dto.MetricFamily, m *dto.Metric) {
	var labels []string
	for _, l := range m.Label {
		labels = append(labels, l.GetName()+"="+l.GetValue())
	}
	slices.Sort(labels)
	name := f.GetName() + "{" + strings.Join(labels, ",") + "}"
	switch {
	case m.Counter != nil:
		s[name] = fmt.Sprint("counter ", m.Counter.GetValue())
	case m.Gauge != nil:
		s[name] = fmt.Sprint("gauge ", m.Gauge.GetValue())
	case m.Untyped != nil:
		s[name] = fmt.Sprint("untyped ", m.Untyped.GetValue())
	case m.Summary != nil:
		s[name] = fmt.Sprint("summary ", m.Summary.GetSampleCount())
		if !duration(f.GetName()) {
			s[name] += fmt.Sprintf(" %.6g", m.Summary.GetSampleSum())
		}
	case m.Histogram != nil:
		s[name] = fmt.Sprint("histogram ", m.Histogram.GetSampleCount())
		for _, b := range m.Histogram.Bucket {
			count := b.GetCumulativeCount()
			if duration(f.GetName()) {
				count = 0 // its bounds are compared
			}
			s[name] += fmt.Sprintf(" %v:%v", b.GetUpperBound(), count)
		}
		if !duration(f.GetName()) {
			s[name] += fmt.Sprintf(" %.6g", m.Histogram.GetSampleSum())
		}
	}
}

// duration reports whether a family's values are how long something took.
func duration(name string) bool { return strings.HasSuffix(name, "_seconds") }

// until waits until p serves what one does, which both may do some time after the
// operations, and returns what is different after that, and what one serves.
func until(s suite, one, p *process) (different []string, want samples, err error) {
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		want, err := one.samples(s)
		if err != nil {
			return nil, nil, err
		}
		got, err := p.samples(s)
		if err != nil {
			return nil, nil, err
		}
		different = nil
		for _, name := range sortedKeys(want) {
			if got[name] != want[name] {
				different = append(different, fmt.Sprintf("%s is %q, not %q", name, got[name], want[name]))
			}
		}
		for _, name := range sortedKeys(got) {
			if _, found := want[name]; !found {
				different = append(different, fmt.Sprintf("%s is %q, and is not there in one process", name, got[name]))
			}
		}
		if len(different) == 0 || time.Now().After(deadline) {
			return different, want, nil
		}
		select {
		case <-p.exited:
			return nil, nil, errors.New("a process ended")
		default:
		}
	}
}
