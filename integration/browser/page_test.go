package browser

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/internal/glance"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// deadline is how long a step of the browser may take, also on a busy machine.
const deadline = 3 * time.Minute

// serve makes workers with series, which count until the test ends, and serves their page.
func serve(t *testing.T, workers, families, series int) string {
	t.Helper()
	dir := t.TempDir()
	var counters []*mpm.Series
	for w := range workers {
		s, err := mpm.Create(dir, mpm.Options{Label: fmt.Sprintf("web-%d", w)})
		require.NoError(t, err)
		for f := range families {
			schema, err := s.AddSchema(&metric.Schema{Name: fmt.Sprintf("http_requests_%d", f), Help: "Requests.", Type: metric.Counter, Labels: []string{"path"}})
			require.NoError(t, err)
			for n := range series {
				if w > 1 && n > 3 {
					break // two have all
				}
				one, err := s.AddSeries(schema, []string{fmt.Sprintf("/page/%d", n)}, nil)
				require.NoError(t, err)
				counters = append(counters, one)
			}
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	var counting sync.WaitGroup
	counting.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			for i := n % 40; i < len(counters); i += 40 {
				atomic.AddUint64(&counters[i].Words()[mpm.CellCounterInts], uint64(1+i%7+n%5))
			}
			select {
			case <-time.After(100 * time.Millisecond):
			case <-ctx.Done():
			}
		}
	})
	t.Cleanup(func() { stop(); counting.Wait() })
	a, err := aggregate.Open(dir, aggregate.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { a.Close() })
	mux := http.NewServeMux()
	glance.NewSite(a, glance.SiteOptions{Version: "test"}).Add(mux)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

// tab is a tab of a browser.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu    sync.Mutex
	wrong []string // errors of the console, and requests to other hosts than that of the page
}

func (b *tab) note(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wrong = append(b.wrong, fmt.Sprintf(format, args...))
}

func (b *tab) isClean() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	require.Empty(b.t, b.wrong)
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, deadline)
	defer cancel()
	require.NoError(b.t, chromedp.Do(ctx, steps...))
}

// ask runs an action that returns a value.
func ask[T any](b *tab, action chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, deadline)
	defer cancel()
	v, err := chromedp.Run(ctx, action)
	require.NoError(b.t, err)
	return v
}

// call is an action that sends a command of the protocol.
func call[P, R any](c cdp.Command[P, R], params P) chromedp.Action[R] {
	return func(ctx context.Context, t *chromedp.Target) (R, error) { return cdp.Call(ctx, t, c, params) }
}

// browse opens a tab.
func browse(t *testing.T, url string) *tab {
	t.Helper()
	program, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("MULTIPROM_INTEGRATION") != "" {
			t.Fatal("MULTIPROM_INTEGRATION is set, and chromium is not installed")
		}
		t.Skip("chromium is not installed; `make browser` installs it")
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.UserDataDir(t.TempDir()), chromedp.Flag("disable-quic", true), chromedp.WindowSize(1200, 900))
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), opts...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	b := &tab{t: t, ctx: ctx}
	require.NoError(t, chromedp.Listen(ctx, func(event any) {
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			b.note("exception: %+v", e)
		case *runtime.EventConsoleAPICalled:
			b.note("console: %s", e.Type)
		case *cdplog.EventEntryAdded:
			b.note("log: %s %s %s", e.Entry.Level, e.Entry.Text, e.Entry.URL)
		case *network.EventRequestWillBeSent:
			if !strings.HasPrefix(e.Request.URL, url) && !strings.HasPrefix(e.Request.URL, "data:") {
				b.note("a request to %s", e.Request.URL)
			}
		}
	}))
	ask(b, call(network.Enable, network.EnableParams{}))
	ask(b, call(cdplog.Enable, cdp.Empty{}))
	return b
}

// picture keeps a screenshot.
func (b *tab) picture(name string) {
	b.t.Helper()
	png := ask(b, chromedp.FullScreenshot(100))
	require.Greater(b.t, len(png), 5000)
	if dir := os.Getenv("MULTIPROM_SCREENSHOTS"); dir != "" {
		require.NoError(b.t, os.WriteFile(filepath.Join(dir, name+".png"), png, 0o600))
	}
}

// TestPage looks at pages of 4 and of 200 workers with 10,000 series, in light and in dark.
func TestPage(t *testing.T) {
	for name, size := range map[string][3]int{"4-workers": {4, 20, 500}, "200-workers": {200, 20, 500}} {
		t.Run(name, func(t *testing.T) {
			url := serve(t, size[0], size[1], size[2])
			b := browse(t, url)
			b.do(chromedp.Navigate(url), chromedp.WaitVisible(chromedp.CSS("main")))
			rows := ask(b, chromedp.Evaluate[int](`document.querySelectorAll("tbody tr").length`))
			require.GreaterOrEqual(t, rows, size[0]+size[1])

			names := map[string]int{}
			for _, n := range ask(b, call(accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})).Nodes {
				if n.Role == nil || n.Ignored {
					continue
				}
				role := strings.Trim(string(n.Role.Value), `"`)
				switch role {
				case "table", "link", "button", "textbox", "columnheader":
					require.True(t, n.Name != nil && len(n.Name.Value) > 2, "a %s has no accessible name", role)
				}
				names[role]++
			}
			require.GreaterOrEqual(t, names["table"], 2)
			require.Positive(t, names["textbox"])
			require.Equal(t, 1, names["main"])

			// What a refresh takes: of the page as it is served, compressed, and with the time of the
			// script that puts it in its place.
			weight := ask(b, chromedp.Evaluate[string](`(async () => {
				const times = [];
				for (let i = 0; i < 5; i++) {
					const began = performance.now();
					const text = await (await fetch(location.href, {cache: "no-store"})).text();
					const page = new DOMParser().parseFromString(text, "text/html");
					document.querySelector("main").replaceWith(page.querySelector("main"));
					times.push(Math.round(performance.now() - began));
					await new Promise(done => setTimeout(done, 1200));
				}
				const last = performance.getEntriesByType("resource").at(-1);
				return `+"`${last.decodedBodySize} bytes, compressed ${last.encodedBodySize}; refreshes in ms: ${times}`"+`;
			})()`, chromedp.EvalAwaitPromise))
			t.Log(weight)

			backgrounds := map[string]bool{}
			for _, scheme := range []string{"light", "dark"} {
				ask(b, call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
					Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
				}))
				b.picture(name + "-" + scheme)
				backgrounds[ask(b, chromedp.Evaluate[string](`getComputedStyle(document.body).color`))] = true
			}
			require.Len(t, backgrounds, 2, "the colours of text differ")

			before := ask(b, chromedp.Text(chromedp.CSS("#at")))
			require.Eventually(t, func() bool { // the script refreshes the page in place
				after, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](`document.querySelector("#at").textContent`))
				return err == nil && after != before
			}, deadline, 200*time.Millisecond)
			b.isClean()
		})
	}
}

// TestWithoutScript: sorting and filtering need no JavaScript.
func TestWithoutScript(t *testing.T) {
	url := serve(t, 4, 5, 20)
	b := browse(t, url)
	ask(b, call(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}))
	b.do(chromedp.Navigate(url), chromedp.WaitVisible(chromedp.CSS("main")), chromedp.Click(chromedp.CSS(`a[href*="f=rate"]`)), chromedp.WaitVisible(chromedp.CSS(`th[aria-sort] a[href*="f=rate"]`)))
	b.do(chromedp.SendKeys(chromedp.CSS(`input[name=q]`), "requests_3\r"), chromedp.WaitVisible(chromedp.CSS(`input[value=requests_3]`)))
	location, text := ask(b, chromedp.Location()), ask(b, chromedp.Text(chromedp.CSS("main")))
	require.Contains(t, location, "q=requests_3")
	require.Contains(t, location, "f=rate")
	require.Contains(t, text, "http_requests_3")
	b.isClean()
}
