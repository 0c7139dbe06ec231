package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/multiprom/multiprom/exposition"
	"github.com/multiprom/multiprom/gather"
	"github.com/multiprom/multiprom/internal/form"
	"github.com/multiprom/multiprom/internal/record"
	"github.com/multiprom/multiprom/metric"
)

// replayOptions are the flags of `mpctl replay`.
type replayOptions struct {
	path          string
	at            time.Duration // before the end
	until         time.Time     // the moment itself, in place of at
	last          time.Duration
	rate, process string
	asJSON        bool
}

func newReplay() *cobra.Command {
	var dir string
	var o replayOptions
	var selected selection
	cmd := &cobra.Command{
		Use:   "replay [NAME...]",
		Short: "show what mpctl serve --record has recorded",
		Long: `Show the last minutes of a directory, recorded by mpctl serve --record or by a
supervisor: which time there is, and which processes have died in it. It needs
no process that lives.

  --at -30s       the merged metrics 30 seconds before the end, as text
  --rate NAME     what a metric counted, second by second, until the end or --at
  --process ID    what a process counted in its last seconds, and if it has
                  died, the last values in its file`,
		Example: `  mpctl replay --dir /dev/shm/app
  mpctl replay http_requests --dir /dev/shm/app --at -30s
  mpctl replay --dir /dev/shm/app --rate http_requests --last 2m
  mpctl replay --dir /dev/shm/app --process 4711
  mpctl replay --record-dir /var/log/app.recording --match 'http_.*' --json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.path == "" {
				d, err := resolveDir(dir)
				if err != nil {
					return err
				}
				o.path = record.DirOf(d)
			}
			r, err := readRecording(&o)
			if errors.Is(err, record.ErrNone) {
				return refuse("%w: did mpctl serve run with --record?", err)
			}
			if err != nil {
				return err
			}
			w := cmd.OutOrStdout()
			switch {
			case o.rate != "":
				return r.printRates(w, &o, "metric", o.rate)
			case o.process != "":
				return r.printProcess(w, &o)
			case cmd.Flags().Changed("at") || len(selected.names) > 0 || selected.match != "":
				ctx, g := selected.of(cmd.Context(), gatherOf(r.families))
				families, err := g.Gather(ctx)
				if err != nil {
					return err
				}
				if o.asJSON {
					err = printJSON(w, dumped(families))
				} else {
					err = exposition.Encode(w, families, exposition.Options{Lenient: true})
				}
				if err := noted(cmd, err); err != nil {
					return err
				}
				return selected.empty(len(families))
			}
			return r.printSummary(w, &o)
		},
	}
	addDirFlag(cmd, &dir)
	selected.addFlags(cmd)
	cmd.Flags().Lookup("by-process").Hidden = true
	cmd.Flags().StringVar(&o.path, "record-dir", "", "where the recording is (default DIR.recording)")
	cmd.Flags().DurationVar(&o.at, "at", 0, "the moment, before the end, such as -30s (default the end)")
	cmd.Flags().Lookup("at").DefValue = "" // the help says it
	cmd.Flags().DurationVar(&o.last, "last", time.Minute, "how much --rate and --process show")
	cmd.Flags().StringVar(&o.rate, "rate", "", "show what this metric counted, second by second")
	cmd.Flags().StringVar(&o.process, "process", "", "show the last seconds of this process, by its ID")
	cmd.Flags().BoolVar(&o.asJSON, "json", false, "print it as JSON")
	cmd.MarkFlagsMutuallyExclusive("rate", "process")
	obey(cmd, notEmpty, "rate", "process", "record-dir")
	obey(cmd, beforeTheEnd, "at")
	obey(cmd, longerThanZero(""), "last")
	return cmd
}

// beforeTheEnd accepts a duration of 0 or less.
func beforeTheEnd(typed string) (string, error) {
	if d, err := time.ParseDuration(typed); err != nil || d > 0 {
		return "", errors.New("it must be a duration before the end, such as -30s")
	}
	return typed, nil
}

func gatherOf(families []*metric.Family) gather.Func {
	return func(context.Context) ([]*metric.Family, error) { return families, nil }
}

// recording is what `mpctl replay` needs of a recording.
type recording struct {
	From    time.Time      `json:"from"`
	To      time.Time      `json:"to"`
	Seconds int            `json:"seconds"` // that were recorded
	Series  int            `json:"series"`  // at the end
	Deaths  []recordedDead `json:"deaths"`

	moment   time.Time        // that was asked for
	families []*metric.Family // then
	counts   []recordedSecond
	known    map[string]bool // names of metrics or processes of that time
}

type recordedDead struct {
	Time    time.Time `json:"time"`
	Process string    `json:"process_id"`
	Samples int       `json:"samples"` // of its last values

	last []record.Sample
}

// recordedSecond is what a second has of the metric or process that was asked for.
type recordedSecond struct {
	at      time.Time
	counted map[string]float64 // by metric, and of a metric also by process
}

// mostGap is how old the last recorded second may be that is shown for a moment: a recorder on a
// busy machine is late.
const mostGap = 10 * time.Second

// readRecording reads twice: where the end is, and what is before it.
func readRecording(o *replayOptions) (*recording, error) {
	r := &recording{Deaths: []recordedDead{}, known: map[string]bool{}}
	var times []time.Time
	err := record.Read(o.path, func(s *record.State) bool {
		if r.Seconds++; r.Seconds == 1 {
			r.From = s.Time
		}
		r.To, times = s.Time, append(times, s.Time)
		return true
	})
	if err == nil && r.Seconds == 0 {
		err = record.ErrNone
	}
	if err != nil {
		return nil, err
	}
	if r.moment = o.until; r.moment.IsZero() {
		r.moment = r.To.Add(o.at)
	}
	var last time.Time // that was recorded until then
	for _, at := range times {
		if !at.After(r.moment) {
			last = at
		}
	}
	if r.moment.Sub(last) > mostGap {
		return nil, refuse("nothing was recorded at %s: the recording is from %s to %s, and has gaps if nobody recorded", r.moment.Local().Format(time.DateTime), r.From.Local().Format(time.DateTime), r.To.Local().Format(time.DateTime))
	}
	err = record.Read(o.path, func(s *record.State) bool {
		if s.Time.After(r.moment) {
			return false
		}
		for _, d := range s.Deaths {
			r.Deaths = append(r.Deaths, recordedDead{s.Time.UTC(), d.Process, len(d.Samples), d.Samples})
		}
		if s.Time.Equal(last) {
			r.families = s.Families()
		}
		if (o.rate != "" || o.process != "") && !s.Time.Before(r.moment.Add(-o.last-1500*time.Millisecond)) {
			r.counts = append(r.counts, recordedSecond{s.Time, r.countsOf(s, o)})
		}
		return true
	})
	r.Series = 0
	for _, f := range r.families {
		r.Series += len(f.Series)
	}
	r.From, r.To = r.From.UTC(), r.To.UTC()
	return r, err
}

// countsOf returns what a second says of the metric or the process.
func (r *recording) countsOf(s *record.State, o *replayOptions) map[string]float64 {
	out := map[string]float64{}
	for _, one := range s.Series() {
		id, _ := one.Labels.Get(record.LabelProcess)
		if one.Family.Process {
			r.known[map[bool]string{true: one.Family.Name, false: id}[o.rate != ""]] = true
		}
		switch {
		case o.process != "" && one.Family.Process && id == o.process:
			out[one.Family.Name] += one.Counted()
		case o.rate != "" && isOf(one.Family, o.rate) && !one.Family.Process:
			out[""] += one.Counted()
		case o.rate != "" && isOf(one.Family, o.rate):
			out[id] += one.Counted()
		}
	}
	return out
}

// isOf reports whether a metric has that name, or the sample that says what it has counted.
func isOf(f *record.Family, name string) bool {
	switch f.Type {
	case metric.Counter:
		return name == f.Name || name == f.Name+"_total"
	case metric.Histogram, metric.Summary:
		return name == f.Name || name == f.Name+"_count"
	}
	return name == f.Name
}

// rateRow is a second in the output of `mpctl replay --rate` and `--process`.
type rateRow struct {
	Time  time.Time          `json:"time"`
	Rate  float64            `json:"rate"`            // what was counted a second, of all parts
	Parts map[string]float64 `json:"parts,omitempty"` // by process, or by metric
}

// recordedProcess is the output of `mpctl replay --process --json`.
type recordedProcess struct {
	Process string           `json:"process_id"`
	Died    time.Time        `json:"died,omitzero"` // when it was found dead
	Rates   []rateRow        `json:"rates"`         // second by second, until --at or its death
	Last    []recordedSample `json:"last_values"`   // what its file had when it was found dead
}

type recordedSample struct {
	Name  string `json:"name"` // with its labels
	Value string `json:"value"`
}

// rates returns a row for each second. That of a process has the sum of its metrics.
func (r *recording) rates(ofProcess bool) []rateRow {
	rows := []rateRow{}
	for i := 1; i < len(r.counts); i++ {
		before, now := r.counts[i-1], r.counts[i]
		seconds := now.at.Sub(before.at).Seconds()
		row := rateRow{Time: now.at.UTC(), Parts: map[string]float64{}}
		for name, n := range now.counted {
			old, known := before.counted[name]
			by := max(0, n-old) / seconds
			switch {
			case name == "":
				if row.Rate = by; !known {
					row.Rate = 0
				}
			case by > 0:
				if row.Parts[name] = by; ofProcess {
					row.Rate += by
				}
			}
		}
		rows = append(rows, row)
	}
	return rows
}

// counted reports whether the metric or process that was asked for is there.
func (r *recording) counted() bool {
	return slices.ContainsFunc(r.counts, func(c recordedSecond) bool { return len(c.counted) > 0 })
}

func (r *recording) printRates(w io.Writer, o *replayOptions, what, name string) error {
	if !r.counted() {
		return refuse("the recording has no %s %s in the %s before %s; it has %s", what, name, o.last, r.moment.Local().Format(time.DateTime), knownNames(r.known))
	}
	rows := r.rates(o.process != "")
	if o.asJSON {
		return printJSON(w, rows)
	}
	g := grid{columns: []column{{title: "TIME", left: true}}}
	if o.process == "" {
		g.columns = append(g.columns, column{title: "RATE/s"})
	}
	g.columns = append(g.columns, column{title: map[bool]string{true: "BY METRIC", false: "BY PROCESS"}[o.process != ""], left: true, order: 1})
	for _, row := range rows {
		cells := []string{row.Time.Local().Format(time.TimeOnly)}
		if o.process == "" {
			cells = append(cells, rounded(form.FormatFloat(row.Rate)))
		}
		g.rows = append(g.rows, append(cells, cmp.Or(largest(row.Parts), "-")))
	}
	return g.print(w)
}

// largest returns the largest rates with their names.
func largest(rates map[string]float64) string {
	const most = 5
	names := slices.SortedFunc(maps.Keys(rates), func(a, b string) int {
		return cmp.Or(cmp.Compare(rates[b], rates[a]), strings.Compare(a, b))
	})
	var parts []string
	for _, name := range names[:min(most, len(names))] {
		parts = append(parts, name+" "+rounded(form.FormatFloat(rates[name])))
	}
	if more := len(names) - most; more > 0 {
		parts = append(parts, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(parts, ", ")
}

// knownNames returns some of the names, or says that there are none.
func knownNames(names map[string]bool) string {
	const most = 8
	sorted := slices.Sorted(maps.Keys(names))
	if len(sorted) == 0 {
		return "none then"
	}
	out := strings.Join(sorted[:min(most, len(sorted))], ", ")
	if more := len(sorted) - most; more > 0 {
		out += fmt.Sprintf(" and %d more", more)
	}
	return out
}

// printProcess prints the last seconds of a process. If it has died in the recording, they end
// there.
func (r *recording) printProcess(w io.Writer, o *replayOptions) error {
	var dead *recordedDead
	for i := range r.Deaths {
		if r.Deaths[i].Process == o.process {
			dead = &r.Deaths[i]
		}
	}
	if dead != nil && o.at == 0 {
		o.until = dead.Time
		again, err := readRecording(o)
		if err != nil {
			return err
		}
		r.counts = again.counts
	}
	if o.asJSON && (dead != nil || r.counted()) {
		out := recordedProcess{Process: o.process, Rates: r.rates(true), Last: []recordedSample{}}
		if dead != nil {
			out.Died = dead.Time
			for _, v := range dead.last {
				out.Last = append(out.Last, recordedSample{v.Name, form.FormatFloat(v.Value)})
			}
		}
		return printJSON(w, out)
	}
	if dead != nil {
		fmt.Fprintf(w, "process %s was found dead at %s\n\n", printable(o.process), dead.Time.Local().Format(time.DateTime+" MST"))
	}
	err := r.printRates(w, o, "process", o.process)
	if dead == nil || err != nil && !errors.Is(err, errNo) {
		return err
	}
	if err != nil {
		fmt.Fprintln(w, "no second has found that it counted something")
	}
	if len(dead.last) == 0 {
		_, err := fmt.Fprintln(w, "\nits file was compacted before its last values were recorded")
		return err
	}
	fmt.Fprintln(w, "\nits last values:")
	for _, s := range dead.last {
		if _, err := fmt.Fprintf(w, "%s %s\n", printable(s.Name), form.FormatFloat(s.Value)); err != nil {
			return err
		}
	}
	return nil
}

func (r *recording) printSummary(w io.Writer, o *replayOptions) error {
	if o.asJSON {
		return printJSON(w, r)
	}
	fmt.Fprintf(w, "from %s to %s: %s, %d series at the end\n", r.From.Local().Format(time.DateTime), r.To.Local().Format(time.DateTime+" MST"), plural(r.Seconds, "second"), r.Series)
	if len(r.Deaths) == 0 {
		_, err := fmt.Fprintln(w, "no process has died")
		return err
	}
	var rows [][]string
	for _, d := range r.Deaths {
		rows = append(rows, []string{d.Time.Local().Format(time.TimeOnly), d.Process, fmt.Sprint(d.Samples)})
	}
	fmt.Fprintln(w)
	return table(w, []string{"DIED", "PROCESS ID", "LAST VALUES"}, rows)
}
