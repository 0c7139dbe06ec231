package main

import (
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/multiprom/multiprom/internal/mpm"
)

// inspectedArchive is the header of the archive.
type inspectedArchive struct {
	ID          string            `json:"id"`
	Generation  uint64            `json:"generation"`
	Epoch       uint64            `json:"epoch"`
	Compactions uint64            `json:"compactions"`
	Compacted   uint64            `json:"compacted_processes"`
	Seconds     float64           `json:"compact_seconds"`
	Consumed    []string          `json:"consumed"`
	Processes   []archivedProcess `json:"processes"`
}

type archivedProcess struct {
	Label       string    `json:"process_id"`
	Incarnation string    `json:"incarnation"`
	Created     time.Time `json:"created"`
	Compacted   time.Time `json:"compacted"`
}

func inspectArchive(path string) (*inspection, error) {
	a, err := readArchive(path, mpm.ReadOptions{})
	if err != nil {
		return nil, err
	}
	arc := &inspectedArchive{
		ID: a.ID.String(), Generation: a.Generation, Epoch: a.Epoch, Compactions: a.Compactions, Compacted: a.Compacted,
		Seconds: a.CompactTime.Seconds(), Consumed: []string{}, Processes: []archivedProcess{},
	}
	for _, c := range a.Consumed {
		arc.Consumed = append(arc.Consumed, c.Incarnation.String())
	}
	for _, p := range a.Processes {
		arc.Processes = append(arc.Processes, archivedProcess{
			p.Label, p.Incarnation.String(), time.Unix(0, p.Created).UTC(), time.Unix(0, p.Compacted).UTC(),
		})
	}
	in := &inspection{File: path, Kind: kindArchive, Bytes: a.Bytes, Archive: arc, Families: []inspectedFamily{}}
	for i := range a.Families {
		f := archivedFamily(&a.Families[i], arc.Processes)
		in.Families = append(in.Families, f)
		in.Series += len(f.Series)
	}
	return in, nil
}

func archivedFamily(f *mpm.StoredFamily, processes []archivedProcess) inspectedFamily {
	out := describeFamily(f.Schema)
	for i := range f.Series.Len() {
		s := f.Series.At(i)
		one := inspectedSeries{Labels: s.Labels.Map(), Words: hex(s.Words)}
		if s.Created != 0 {
			one.Created = time.Unix(0, s.Created).UTC()
		}
		one.setActive(s.Active, f.Schema)
		if s.Process >= 0 {
			one.Process = processes[s.Process].Label
		}
		out.Series = append(out.Series, one)
	}
	return out
}

func (a *inspectedArchive) rows() [][]string {
	return [][]string{
		{"id", a.ID},
		{"generation", strconv.FormatUint(a.Generation, 10)},
		{"epoch", strconv.FormatUint(a.Epoch, 10)},
		{"compacted", fmt.Sprintf("%s in %s, %.3f s", plural(int(a.Compacted), "process"), plural(int(a.Compactions), "compaction"), a.Seconds)},
		{"known to be in it", strconv.Itoa(len(a.Consumed))},
	}
}

func (a *inspectedArchive) printProcesses(w io.Writer) error {
	if len(a.Processes) == 0 {
		return nil
	}
	fmt.Fprintln(w)
	var rows [][]string
	for _, p := range a.Processes {
		rows = append(rows, []string{p.Label, p.Created.Format(time.RFC3339), p.Compacted.Format(time.RFC3339)})
	}
	return table(w, []string{"PROCESS", "STARTED", "COMPACTED"}, rows)
}
