package main

import (
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/multiprom/multiprom/metric"
	"github.com/multiprom/multiprom/mmapstore"
)

// archiveInspection is the archive as `mpctl inspect` shows it.
type archiveInspection struct {
	File       string            `json:"file"`
	ID         string            `json:"id"`
	Generation uint64            `json:"generation"`
	Epoch      uint64            `json:"epoch"`
	Folds      uint64            `json:"folds"`
	Folded     uint64            `json:"folded_processes"`
	Seconds    float64           `json:"fold_seconds"`
	Bytes      int64             `json:"bytes"`
	Consumed   []string          `json:"consumed"`
	Processes  []archivedProcess `json:"processes"`
	Families   []inspectedFamily `json:"families"`
}

type archivedProcess struct {
	Label       string    `json:"label"`
	Incarnation string    `json:"incarnation"`
	Created     time.Time `json:"created"`
	Folded      time.Time `json:"folded"`
}

func inspectArchive(path string) (*archiveInspection, error) {
	a, err := readArchive(path, mmapstore.ReadOptions{})
	if err != nil {
		return nil, err
	}
	in := &archiveInspection{
		File: path, ID: a.ID.String(), Generation: a.Generation, Epoch: a.Epoch, Folds: a.Folds, Folded: a.Folded,
		Seconds: a.FoldTime.Seconds(), Bytes: a.Bytes, Consumed: []string{}, Processes: []archivedProcess{},
	}
	for _, inc := range a.Consumed {
		in.Consumed = append(in.Consumed, inc.String())
	}
	for _, p := range a.Processes {
		in.Processes = append(in.Processes, archivedProcess{
			p.Label, p.Incarnation.String(), time.Unix(0, p.Created).UTC(), time.Unix(0, p.Folded).UTC(),
		})
	}
	for i := range a.Families {
		in.Families = append(in.Families, archivedFamily(&a.Families[i], in.Processes))
	}
	return in, nil
}

func archivedFamily(f *mmapstore.ArchivedFamily, processes []archivedProcess) inspectedFamily {
	out := describeFamily(f.Schema)
	for i := range f.Series.Len() {
		s := f.Series.At(i)
		one := inspectedSeries{Labels: s.Labels.Map(), Created: time.Unix(0, s.Created).UTC()}
		if s.Process >= 0 {
			one.Value = "of process " + processes[s.Process].Label
		}
		for _, w := range s.Words {
			one.Words = append(one.Words, fmt.Sprintf("%#x", w))
		}
		out.Series = append(out.Series, one)
	}
	return out
}

func (in *archiveInspection) print(w io.Writer) error {
	err := table(w, []string{"archive", in.File}, [][]string{
		{"id", in.ID},
		{"generation", strconv.FormatUint(in.Generation, 10)},
		{"epoch", strconv.FormatUint(in.Epoch, 10)},
		{"folded", fmt.Sprintf("%d processes in %d folds, %.3f s", in.Folded, in.Folds, in.Seconds)},
		{"bytes", strconv.FormatInt(in.Bytes, 10)},
		{"files to remove", strconv.Itoa(len(in.Consumed))},
	})
	if err != nil || len(in.Families) == 0 {
		return err
	}
	fmt.Fprintln(w)
	var rows [][]string
	for _, f := range in.Families {
		rows = append(rows, []string{f.Name, f.Type, f.Mode, strconv.Itoa(len(f.Series))})
	}
	if err := table(w, []string{"FAMILY", "TYPE", "MODE", "SERIES"}, rows); err != nil || len(in.Processes) == 0 {
		return err
	}
	fmt.Fprintln(w)
	rows = nil
	for _, p := range in.Processes {
		rows = append(rows, []string{p.Label, p.Created.Format(time.RFC3339), p.Folded.Format(time.RFC3339)})
	}
	return table(w, []string{"PROCESS", "STARTED", "FOLDED"}, rows)
}

// describeFamily returns a definition without series.
func describeFamily(s *metric.Schema) inspectedFamily {
	out := inspectedFamily{
		Name: s.Name, Type: s.Type.String(), Unit: s.Unit, Help: s.Help,
		Labels: s.Labels, Bounds: s.Bounds, States: s.States, Series: []inspectedSeries{},
	}
	if s.Type == metric.Gauge || s.Type == metric.StateSet {
		out.Mode = s.Mode.String()
	}
	return out
}
