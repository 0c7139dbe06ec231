package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/multiprom/multiprom/internal/pyfiletest"
)

const (
	python        = "/usr/bin/python3" // another one in PATH does not see Debian's packages
	collectScript = "../integration/testdata/python/collect.py"
)

// pythonRows scrape a directory of client_python's files, and one of native files with the
// same values. They compare with client_python's own collector: the time to collect and to
// write text, without the start of Python.
func pythonRows(b *bench) {
	workers, series := b.scaled(64), b.scaled(10_000)
	native := sync.OnceValue(func() string {
		return b.newFleet(shape{Workers: workers, Counters: series}).Dir
	})
	db := sync.OnceValue(func() string { return b.pythonDir(workers, series) })
	name := fmt.Sprintf("%d x %s counters", workers, thousands(series))
	records := workers * series

	if err := exec.Command(python, "-c", "import prometheus_client").Run(); err != nil {
		b.note("client_python is not installed (%s), so that nothing was compared with it; see integration/install.sh", python)
	} else if _, err := os.Stat(collectScript); err != nil {
		b.note("%v, so that nothing was compared with client_python; run in bench/", err)
	} else {
		peer := func(goal float64) []other {
			return []other{{goal: goal, side: b.clientPython(db())}}
		}
		b.goal("native files, warm scrape, "+name, func() row {
			return row{ours: warm(newScraper(handler(b.aggregator(native())), acceptText, "")), others: peer(1. / 300)}
		})
		b.goal(".db, warm scrape, "+name, func() row {
			return row{ours: warm(newScraper(handler(b.aggregator(db())), acceptText, "")), others: peer(1. / 150)}
		})
		b.goal(".db, cold scrape, "+name, func() row {
			return row{ours: coldScrape(db()), others: peer(1. / 20)}
		})
	}
	b.goal(".db, cold merge, "+name, func() row {
		allowed := 120*float64(records-series) + 600*float64(series) + 30e3*float64(workers)
		return row{parts: records, part: "record", ours: cold(db()), others: []other{{goal: 1, allowed: allowed, side: side{name: "at most"}}}}
	})
	b.goal(".db, warm merge, "+name, func() row {
		a := b.aggregator(db())
		return row{parts: records, part: "record", ours: loop("", func(n int) {
			for range n {
				gather(a)
			}
		}), others: []other{{goal: 1, allowed: 12 * float64(records), side: side{name: "at most"}}}}
	})
}

// warm scrapes once, untimed, before each sample, because a second of Python between two
// samples leaves nothing in the caches.
func warm(s *scraper) side {
	out := scrapes(s)
	out.prepare = func() { s.scrape() }
	return out
}

// pythonDir returns a directory with the files of workers of client_python that count the
// same as those of newFleet. The form of the files is the one that the installed version
// reads.
func (b *bench) pythonDir(workers, series int) string {
	stride := pyfiletest.Simple
	if exec.Command(python, "-c", `from prometheus_client import Gauge; Gauge("g", "g", multiprocess_mode="mostrecent")`).Run() == nil {
		stride = pyfiletest.Timed
	}
	samples := make([]pyfiletest.Sample, series)
	for i := range samples {
		samples[i] = pyfiletest.Sample{Value: float64(i), Key: fmt.Sprintf(
			`["requests", "requests_total", {"code": "200", "path": "/some/path/%07d"}, "Requests served."]`, i)}
	}
	content, dir := stride.Content(samples...), b.newDir()
	for w := range workers {
		check(os.WriteFile(filepath.Join(dir, fmt.Sprintf("counter_%d.db", w)), content, 0o600))
	}
	return dir
}

// clientPython is a process that collects once for each line of input.
func (b *bench) clientPython(dir string) side {
	cmd := exec.Command(python, collectScript, "--each-line")
	cmd.Env = append(os.Environ(), "PROMETHEUS_MULTIPROC_DIR="+dir)
	cmd.Stderr = os.Stderr
	in := must(cmd.StdinPipe())
	out := bufio.NewReader(must(cmd.StdoutPipe()))
	check(cmd.Start())
	b.onClose(func() {
		check(in.Close())
		check(cmd.Wait())
	})
	return loop("client_python", func(n int) {
		for range n {
			must(io.WriteString(in, "collect\n"))
			length := must(strconv.Atoi(strings.TrimSpace(must(out.ReadString('\n')))))
			if length == 0 {
				panic("bench: client_python collected nothing")
			}
		}
	})
}
