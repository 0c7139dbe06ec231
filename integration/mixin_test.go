package integration

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v2"
)

const mixinDir = "../deploy/mixin"

// mixinRules are the groups of a file of rules.
type mixinRules struct {
	Groups []struct {
		Rules []struct {
			Alert, Record, Expr string
			Annotations         map[string]string
		}
	}
}

func readRules(t *testing.T, name string) (out mixinRules) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(mixinDir, name))
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(b, &out))
	return out
}

// TestMixinRules runs the tests of the rules, and holds the alerts and their runbook together.
func TestMixinRules(t *testing.T) {
	promtool := needCommand(t, "promtool")
	cmd := exec.Command(promtool, "test", "rules", "tests.yml")
	cmd.Dir = mixinDir
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)

	page, err := os.ReadFile("../docs/operations.md")
	require.NoError(t, err)
	tests, err := os.ReadFile(filepath.Join(mixinDir, "tests.yml"))
	require.NoError(t, err)
	n := 0
	for _, g := range readRules(t, "alerts.yml").Groups {
		for _, r := range g.Rules {
			n++
			require.Contains(t, string(page), "\n### "+r.Alert+"\n", "the page has no section of it")
			require.True(t, strings.HasSuffix(r.Annotations["runbook_url"], "docs/operations.md#"+strings.ToLower(r.Alert)), r.Alert)
			require.Contains(t, string(tests), "alertname: "+r.Alert+"\n        exp_alerts:", "no test has it fire")
		}
	}
	require.Equal(t, n, len(regexp.MustCompile(`(?m)^### Multiprom`).FindAllString(string(page), -1)))
}

// TestMixinQueries runs every query of the dashboard and of the rules against a Prometheus that
// scrapes the demo. Those of the dashboard return series.
func TestMixinQueries(t *testing.T) {
	prometheus := needCommand(t, "prometheus")
	metrics := startDemo(t)
	demo := func(expr string) string {
		expr = strings.ReplaceAll(expr, "http_request_duration_seconds_bucket", "demo_request_duration_seconds_bucket")
		return strings.ReplaceAll(expr, "http_requests_total", "demo_requests_total")
	}
	api := startPrometheusFor(t, prometheus, map[string]string{"demo": strings.TrimSuffix(strings.TrimPrefix(metrics, "http://"), "/metrics")})
	count := func(expr string) (n int) {
		resp, err := http.Get(api + "/api/v1/query?query=" + url.QueryEscape(expr))
		require.NoError(t, err)
		defer resp.Body.Close()
		var answer struct {
			Status, Error string
			Data          struct{ Result []json.RawMessage }
		}
		require.NoError(t, json.NewDecoder(resp.Body).Decode(&answer))
		require.Equal(t, "success", answer.Status, "%s: %s", expr, answer.Error)
		return len(answer.Data.Result)
	}

	text, err := os.ReadFile(filepath.Join(mixinDir, "dashboard.json"))
	require.NoError(t, err)
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	require.NoError(t, json.Unmarshal(text, &dashboard))
	queries := 0
	table := "panel, series, query\n"
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			expr := strings.NewReplacer("$job", "demo", "$instance", ".*", "$__rate_interval", "1m").Replace(demo(target.Expr))
			n := 0
			eventually(t, "data for "+p.Title+": "+expr, func() bool { n = count(expr); return n > 0 })
			table += fmt.Sprintf("%s, %d, %s\n", p.Title, n, expr)
			queries++
		}
	}
	require.GreaterOrEqual(t, queries, 20)
	for _, g := range readRules(t, "rules.yml").Groups {
		for _, r := range g.Rules {
			expr := r.Expr
			for _, other := range g.Rules { // as if those were recorded
				expr = strings.ReplaceAll(expr, other.Record, "("+other.Expr+")")
			}
			expr = demo(expr)
			n := 0
			eventually(t, "data for "+r.Record, func() bool { n = count(expr); return n > 0 })
			table += fmt.Sprintf("%s, %d, %s\n", r.Record, n, strings.Join(strings.Fields(expr), " "))
		}
	}
	for _, g := range readRules(t, "alerts.yml").Groups {
		for _, r := range g.Rules {
			table += fmt.Sprintf("%s, %d, %s\n", r.Alert, count(r.Expr), strings.Join(strings.Fields(r.Expr), " "))
		}
	}
	t.Log(table)
}
