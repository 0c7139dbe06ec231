package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

func main() {
	requests := flag.String("requests", "http_requests_total", "the counter of requests, with a label code")
	duration := flag.String("duration", "http_request_duration_seconds", "the histogram of their durations")
	flag.Parse()
	d, err := build(*requests, *duration)
	if err == nil {
		e := json.NewEncoder(os.Stdout)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		err = e.Encode(d)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "mixin:", err)
		os.Exit(1)
	}
}

// A panel has queries with their legends.
type panel struct {
	title, help, unit string
	queries           [][2]string
}

type row struct {
	title  string
	panels []panel
}

const target = `job=~"$job",instance=~"$instance"`

// rows are the panels. REQUESTS and DURATION stand for the names of the program's own metrics.
var rows = []row{
	{"Requests", []panel{
		{"Requests", "By code.", "reqps", [][2]string{{`sum by (code) (rate(REQUESTS{` + target + `}[$__rate_interval]))`, "{{code}}"}}},
		{"Errors", "The part of requests that failed.", "percentunit", [][2]string{{
			`(sum(rate(REQUESTS{` + target + `,code=~"5.."}[$__rate_interval])) or vector(0)) / sum(rate(REQUESTS{` + target + `}[$__rate_interval]))`, "errors"}}},
		{"Duration", "Of all workers together.", "s", [][2]string{
			{`histogram_quantile(0.5, sum by (le) (rate(DURATION_bucket{` + target + `}[$__rate_interval])))`, "p50"},
			{`histogram_quantile(0.99, sum by (le) (rate(DURATION_bucket{` + target + `}[$__rate_interval])))`, "p99"},
		}},
	}},
	{"Workers", []panel{
		{"Workers", "Dead ones wait for the compactor.", "short", [][2]string{{`sum by (state) (multiprom_processes{` + target + `})`, "{{state}}"}}},
		{"Since the last change", "Of any value, by slot. One that rises while others stay low is stuck or has no work.", "s",
			[][2]string{{`multiprom_process_unchanged_seconds{` + target + `}`, "slot {{slot}}"}}},
		{"Workers that have ended", "A second.", "short", [][2]string{{`rate(multiprom_compacted_processes_total{` + target + `}[$__rate_interval])`, "{{instance}}"}}},
		{"CPU", "Cores, by process.", "short", [][2]string{{`rate(process_cpu_seconds_total{` + target + `}[$__rate_interval])`, "{{pid}}"}}},
		{"Memory", "Resident, by process.", "bytes", [][2]string{{`process_resident_memory_bytes{` + target + `}`, "{{pid}}"}}},
		{"File descriptors", "By process.", "short", [][2]string{{`process_open_fds{` + target + `}`, "{{pid}}"}}},
	}},
	{"Metrics", []panel{
		{"Series", "Of files and archive.", "short", [][2]string{{`multiprom_read_series{` + target + `}`, "{{instance}}"}}},
		{"Scrape", "Reading and merging.", "s", [][2]string{{`multiprom_scrape_duration_seconds{` + target + `}`, "{{instance}}"}}},
		{"Archive", "What dead processes have left.", "bytes", [][2]string{{`multiprom_archive_bytes{` + target + `}`, "{{instance}}"}}},
		{"Files left out", "See mpctl check.", "short", [][2]string{{`sum by (state) (multiprom_files{` + target + `,state!="ok"})`, "{{state}}"}}},
		{"What is lost", "Updates, calls and series that no scrape sees, a second.", "short", [][2]string{
			{`rate(multiprom_invalid_updates_total{` + target + `}[$__rate_interval])`, "invalid updates"},
			{`rate(multiprom_discarded_calls_total{` + target + `}[$__rate_interval])`, "discarded calls"},
			{`rate(multiprom_fallback_series_total{` + target + `}[$__rate_interval])`, "series on the heap"},
			{`rate(multiprom_overflow_series_total{` + target + `}[$__rate_interval])`, "label sets beyond a limit"},
			{`rate(multiprom_merge_conflicts_total{` + target + `}[$__rate_interval])`, "series of conflicting schemas"},
		}},
		{"Damage", "Records that are left out, and blocks that changed too fast for a scrape.", "short", [][2]string{
			{`multiprom_damaged_records{` + target + `}`, "damaged records"},
			{`multiprom_unsettled_blocks{` + target + `}`, "unsettled blocks"},
		}},
	}},
}

func build(requests, duration string) (dashboard.Dashboard, error) {
	source := dashboard.DataSourceRef{Type: ptr("prometheus"), Uid: ptr("${datasource}")}
	b := dashboard.NewDashboardBuilder("multiprom").
		Uid("multiprom").Tags([]string{"multiprom"}).Refresh("30s").Time("now-1h", "now").Timezone("browser").
		WithVariable(dashboard.NewDatasourceVariableBuilder("datasource").Type("prometheus").Label("Data source")).
		WithVariable(variable("job", "label_values(multiprom_processes, job)", source)).
		WithVariable(variable("instance", `label_values(multiprom_processes{job=~"$job"}, instance)`, source))
	names := strings.NewReplacer("REQUESTS", requests, "DURATION", duration)
	for _, r := range rows {
		b = b.WithRow(dashboard.NewRowBuilder(r.title))
		for _, p := range r.panels {
			t := timeseries.NewPanelBuilder().Title(p.title).Description(p.help).Unit(p.unit).Datasource(source).Min(0).Height(7).Span(8)
			for _, q := range p.queries {
				t = t.WithTarget(prometheus.NewDataqueryBuilder().Expr(names.Replace(q[0])).LegendFormat(q[1]))
			}
			b = b.WithPanel(t)
		}
	}
	return b.Build()
}

func variable(name, query string, source dashboard.DataSourceRef) *dashboard.QueryVariableBuilder {
	return dashboard.NewQueryVariableBuilder(name).
		Query(dashboard.StringOrMap{String: &query}).Datasource(source).
		Multi(true).IncludeAll(true).AllValue(".*").Refresh(dashboard.VariableRefreshOnTimeRangeChanged)
}

func ptr[T any](v T) *T { return &v }
