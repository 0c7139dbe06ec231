package main

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/exposition/textparse"
	"github.com/multiprom/multiprom/internal/form"
	"github.com/multiprom/multiprom/metric"
)

// difference is a sample that has changed, in the output of `mpctl diff --json`. Numbers are
// strings, because JSON has neither NaN nor infinity.
type difference struct {
	Name   string            `json:"name"` // of the sample
	Labels map[string]string `json:"labels"`
	Before string            `json:"before,omitempty"` // empty if the sample is new
	After  string            `json:"after,omitempty"`  // empty if it is gone
	Change string            `json:"change,omitempty"`
	Rate   string            `json:"change_per_second,omitempty"` // if both moments are known

	labels metric.Labels
}

// moment is all samples at a time.
type moment struct {
	at      time.Time // zero if it is not known
	samples map[string]metric.Sample
}

func newDiff() *cobra.Command {
	var dir string
	var every time.Duration
	var repeat, buckets, asJSON bool
	var trust trustFlag
	var ttl ttlFlag
	var selected selection
	cmd := &cobra.Command{
		Use:   "diff [BEFORE AFTER]",
		Short: "print which metrics have changed",
		Long: `Print which samples of a directory change within a time, or differ between two
saved dumps: files in the text format, in OpenMetrics 1 or 2, or made by
mpctl dump --json. The columns are the value before, the value after, and the
change; with a directory, also the change a second. They are rounded; --json has
all digits.

Buckets of histograms are left out, unless --buckets asks for them: their counts
and sums say the same in fewer lines. Native buckets have their bounds in the
label native. All of them change if the resolution does.

The cost of a directory is that of two scrapes.`,
		Example: `  mpctl diff --dir /dev/shm/app --every 10s
  mpctl diff --dir /dev/shm/app --match 'http_.*' --by-process
  mpctl diff --dir /dev/shm/app --repeat --ttl http_requests=15m
  mpctl dump --dir /dev/shm/app >before.txt
  mpctl diff before.txt after.txt`,
		RunE: func(cmd *cobra.Command, files []string) error {
			if len(files) == 2 {
				return diffFiles(cmd, files[0], files[1], buckets, asJSON)
			}
			a, err := openView(dir, aggregate.Options{TrustUIDs: trust, TTL: ttl, Logger: newLog(cmd), NoSelfMetrics: true})
			if err != nil {
				return err
			}
			defer a.Close()
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			take := func() (moment, error) {
				families, err := selected.gather(ctx, a)
				return momentOf(families, time.Now(), buckets), err
			}
			before, err := take()
			if err != nil {
				return err
			}
			tick := time.NewTicker(every)
			defer tick.Stop()
			for {
				select {
				case <-ctx.Done():
					return nil
				case <-tick.C:
				}
				after, err := take()
				if err != nil {
					return err
				}
				if err := printDifferences(cmd.OutOrStdout(), compare(before, after), asJSON); err != nil || !repeat {
					return err
				}
				before = after
			}
		},
	}
	addDirFlag(cmd, &dir)
	trust.add(cmd)
	ttl.add(cmd)
	selected.addFlags(cmd)
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		for _, arg := range args {
			if info, err := os.Stat(arg); err == nil && info.IsDir() {
				return unexpected(cmd, arg)
			}
		}
		if n := len(args); n != 0 && n != 2 {
			return misused(cmd, "two files BEFORE and AFTER, or none to look at a directory twice, and not %d: %s", n, strings.Join(args, " "))
		}
		if len(args) == 2 && (selected.match != "" || selected.byProcess || dir != "" || len(ttl) > 0) {
			return misused(cmd, "two files are compared as they are: --dir, --match, --by-process and --ttl are for a directory")
		}
		return nil
	}
	cmd.Flags().DurationVar(&every, "every", 10*time.Second, "time between the two moments")
	cmd.Flags().BoolVar(&repeat, "repeat", false, "go on until SIGTERM or SIGINT")
	cmd.Flags().BoolVar(&buckets, "buckets", false, "also compare the buckets of histograms")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the differences as JSON")
	obey(cmd, longerThanZero(""), "every")
	return cmd
}

func diffFiles(cmd *cobra.Command, before, after string, buckets, asJSON bool) error {
	var moments [2]moment
	for i, path := range []string{before, after} {
		families, err := readDump(path)
		if err != nil {
			return &aboutFile{path, err}
		}
		moments[i] = momentOf(families, time.Time{}, buckets)
	}
	return printDifferences(cmd.OutOrStdout(), compare(moments[0], moments[1]), asJSON)
}

// readDump reads a saved dump in any format that is text.
func readDump(path string) ([]*metric.Family, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r := bufio.NewReader(f)
	if first, err := r.Peek(1); err == nil && first[0] == '[' {
		return readDumped(r)
	}
	read := func(format textparse.Format) ([]*metric.Family, error) {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return nil, err
		}
		return textparse.Parse(f, textparse.Options{Format: format, QuotedNames: true})
	}
	if !openMetrics(f) {
		return read(textparse.Text)
	}
	families, err := read(textparse.OpenMetrics)
	if err == nil {
		return families, nil
	}
	// What both versions accept means the same in both.
	if families, err := read(textparse.OpenMetrics2); err == nil {
		return families, nil
	}
	return nil, err
}

// openMetrics reports whether a file ends as an exposition of OpenMetrics does.
func openMetrics(f *os.File) bool {
	const end = "# EOF\n"
	last := make([]byte, len(end))
	if _, err := f.Seek(-int64(len(end)), io.SeekEnd); err != nil {
		return false
	}
	_, err := io.ReadFull(f, last)
	return err == nil && string(last) == end
}

func momentOf(families []*metric.Family, at time.Time, buckets bool) moment {
	m := moment{at: at, samples: map[string]metric.Sample{}}
	for _, f := range families {
		for s := range f.Samples() {
			if _, le := s.Labels.Get("le"); le && !buckets && strings.HasSuffix(s.Name, "_bucket") {
				continue
			}
			m.samples[s.Name+s.Labels.String()] = s
		}
		if buckets {
			for _, s := range nativeSamples(f) {
				m.samples[s.Name+s.Labels.String()] = s
			}
		}
	}
	return m
}

// compare returns what differs, sorted by name and labels.
func compare(before, after moment) []difference {
	out := []difference{}
	seconds := after.at.Sub(before.at).Seconds()
	for key, s := range after.samples {
		old, there := before.samples[key]
		if there && (old.Value == s.Value || math.IsNaN(old.Value) && math.IsNaN(s.Value)) {
			continue
		}
		d := difference{Name: s.Name, Labels: s.Labels.Map(), labels: s.Labels, After: form.FormatFloat(s.Value)}
		change := s.Value
		if there {
			d.Before = form.FormatFloat(old.Value)
			change -= old.Value
			d.Change = form.FormatFloat(change)
		}
		if there && seconds > 0 {
			d.Rate = form.FormatFloat(change / seconds)
		}
		out = append(out, d)
	}
	for key, s := range before.samples {
		if _, there := after.samples[key]; !there {
			out = append(out, difference{Name: s.Name, Labels: s.Labels.Map(), labels: s.Labels, Before: form.FormatFloat(s.Value)})
		}
	}
	slices.SortFunc(out, func(a, b difference) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), a.labels.Compare(b.labels))
	})
	return out
}

func printDifferences(w io.Writer, all []difference, asJSON bool) error {
	if asJSON {
		return printJSON(w, all)
	}
	if len(all) == 0 {
		_, err := fmt.Fprintln(w, "nothing has changed")
		return err
	}
	timed := slices.ContainsFunc(all, func(d difference) bool { return d.Rate != "" })
	var rows [][]string
	for _, d := range all {
		row := []string{dash(short(d.Before)), dash(short(d.After))}
		switch {
		case d.Before == "":
			row = append(row, "new")
		case d.After == "":
			row = append(row, "gone")
		default:
			row = append(row, signed(short(d.Change)))
		}
		if timed {
			row = append(row, dash(rounded(d.Rate)))
		}
		rows = append(rows, append(row, d.Name+d.labels.String()))
	}
	head := []string{"BEFORE", "AFTER", "CHANGE"}
	if timed {
		head = append(head, "PER SECOND")
	}
	return table(w, append(head, "SAMPLE"), rows)
}

// short returns a number as it is if it is a whole one, and otherwise with at most six digits that
// count.
func short(number string) string {
	v, err := strconv.ParseFloat(number, 64)
	if err != nil || v == math.Trunc(v) {
		return number
	}
	return strconv.FormatFloat(v, 'g', 6, 64)
}

// signed returns a number with its sign.
func signed(number string) string {
	if strings.HasPrefix(number, "-") || number == "NaN" {
		return number
	}
	return "+" + number
}

// rounded returns a number with at most four digits that count, or the whole number if it has
// more.
func rounded(number string) string {
	v, err := strconv.ParseFloat(number, 64)
	switch size := math.Abs(v); {
	case err != nil || math.IsInf(v, 0) || math.IsNaN(v):
		return number
	case size >= 1000 && size < 1e15:
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}
