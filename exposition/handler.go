package exposition

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/multiprom/multiprom/gather"
	"github.com/multiprom/multiprom/internal/limits"
	"github.com/multiprom/multiprom/internal/options"
	"github.com/multiprom/multiprom/internal/views"
	"github.com/multiprom/multiprom/metric"
)

// HandlerOptions of [HandlerFor]. The zero value is what [Handler] uses.
type HandlerOptions struct {
	// FailOnError answers 500 if some collectors fail, so that the target counts as down.
	// By default the families that could be gathered are served, because one broken
	// collector or file must not hide the others, and the error is only logged.
	FailOnError bool
	// NoCreated leaves out created times. By default they are served unless
	// PROMETHEUS_DISABLE_CREATED_SERIES is true, t or 1, in any case, at the time of the
	// scrape.
	NoCreated bool
	// Lenient writes OpenMetrics with values that its specification forbids, see
	// [Options]. It is for receivers that drop a histogram without _count, such as
	// OpenTelemetry's collector.
	Lenient bool
	// DisableCompression ignores Accept-Encoding, for servers that compress everything
	// themselves. The handler does not compress anyway if a middleware has set Vary:
	// Accept-Encoding or Content-Encoding before it calls the handler, as echo's Gzip
	// does.
	DisableCompression bool
	// MaxConcurrent is how many scrapes may be gathered at once; others get 503. The
	// same number of responses may be in the process of being sent. Beyond that, the
	// response that has waited longest for its client is cut off. Default 40; metric.NoLimit.
	MaxConcurrent int
	// Timeout is how long gathering may take before the scrape gets 503. The gatherer's
	// context ends a tenth earlier, so that a gatherer that obeys it can still return
	// what it has. Default metric.NoLimit. A client that says how long it waits, as Prometheus
	// does in X-Prometheus-Scrape-Timeout-Seconds, shortens it for its scrape.
	Timeout time.Duration
	// ErrorLog gets the errors of gathering and encoding; nil drops them. A client that
	// goes away is not an error. What a format cannot hold is logged when it changes,
	// not at each scrape.
	ErrorLog *slog.Logger
}

// Handler returns a handler that serves what g gathers, with default options.
func Handler(g gather.Gatherer) http.Handler { return HandlerFor(g, HandlerOptions{}) }

// HandlerFor returns a handler that serves what g gathers, in the format and the
// content coding (gzip, zstd) that the client prefers. The repeated query parameter
// name[] restricts it to samples with those names, like [registry.Restrict], and match to
// those that match a regular expression. With by=process, a merged directory shows the
// series of each process by itself. docs/exposition.md says what that costs.
//
// It answers GET and HEAD. OPTIONS gets 200 and every other method 405, both with
// Allow. If gathering panics, or returns an error and no families, the answer is 500
// with a text that says why.
//
// It panics if an option is invalid, because options are constants of a program.
func HandlerFor(g gather.Gatherer, opts HandlerOptions) http.Handler {
	if g == nil {
		g = gather.Func(func(context.Context) ([]*metric.Family, error) {
			return nil, errors.New("exposition: the handler has no gatherer")
		})
	}
	if err := opts.complete(); err != nil {
		panic(fmt.Errorf("exposition: %w", err))
	}
	h := &handler{gatherer: g, opts: opts}
	h.senders.most = h.opts.MaxConcurrent
	if n := h.opts.MaxConcurrent; n > 0 {
		h.running = make(chan struct{}, n)
	}
	return h
}

// complete checks the options and fills in what was left out.
func (o *HandlerOptions) complete() error {
	var c options.Checker
	options.Number(&c, "MaxConcurrent", &o.MaxConcurrent, limits.Concurrent, options.NoLimit)
	options.Number(&c, "Timeout", &o.Timeout, options.NoLimit, options.NoLimit)
	return c.Err()
}

type handler struct {
	gatherer gather.Gatherer
	opts     HandlerOptions
	running  chan struct{} // one element per running scrape; nil if there is no limit
	senders  senders
	caches   caches
	told     told
}

// told remembers which omissions were logged, so that each is logged once and not at
// every scrape. Requests with and without a query are remembered separately, so that
// requests chosen by a client do not push out those of Prometheus.
type told struct {
	mu    sync.Mutex
	texts map[wayOfAsking][]string // the last ones, the newest at the end
}

// wayOfAsking is what the text may depend on, except what the query asks for.
type wayOfAsking struct {
	Options
	restricted bool
}

// first reports whether this text was not logged recently.
func (t *told) first(way wayOfAsking, text string) bool {
	const most = 16
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.texts == nil {
		t.texts = map[wayOfAsking][]string{}
	}
	texts := t.texts[way]
	i := slices.Index(texts, text)
	switch {
	case i >= 0:
		texts = slices.Delete(texts, i, i+1)
	case len(texts) == most:
		texts = slices.Delete(texts, 0, 1)
	}
	t.texts[way] = append(texts, text)
	return i < 0
}

const allowedMethods = "GET, HEAD, OPTIONS"

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
	case http.MethodOptions:
		w.Header().Set("Allow", allowedMethods)
		w.WriteHeader(http.StatusOK)
		return
	default:
		w.Header().Set("Allow", allowedMethods)
		http.Error(w, "metrics are read with GET", http.StatusMethodNotAllowed)
		return
	}
	q, err := parseQuery(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if !h.acquire() {
		http.Error(w, fmt.Sprintf("%d scrapes are already running, which is the limit", h.opts.MaxConcurrent), http.StatusServiceUnavailable)
		return
	}

	begun, patience := time.Now(), scrapePatience(r.Header)
	within := gatherWithin(h.opts.Timeout, patience)
	ctx := r.Context()
	if within > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, within)
		defer cancel()
	}
	gathered := h.gather(ctx, r, q, within)
	select {
	case got := <-gathered:
		release := sync.OnceFunc(h.release)
		defer release()
		if a := h.encode(w, r, got); a != nil {
			h.senders.send(w, r, a, begun, patience, release)
		}
	case <-ctx.Done():
		// The abandoned gatherer still works and holds memory, so it goes on counting as running.
		go func() {
			got := <-gathered
			got.page.release()
			h.release()
		}()
		if r.Context().Err() == nil {
			h.log(r.Context(), "scrape given up", ctx.Err())
		}
		http.Error(w, "gathering took too long: "+ctx.Err().Error(), http.StatusServiceUnavailable)
	}
}

func (h *handler) acquire() bool {
	if h.running == nil {
		return true
	}
	select {
	case h.running <- struct{}{}:
		return true
	default:
		return false
	}
}

func (h *handler) release() {
	if h.running != nil {
		<-h.running
	}
}

// gathering is what a gatherer returned.
type gathering struct {
	families []*metric.Family
	err      error

	page    *page // of families that belong to the gatherer; nil if there are none
	omitted error // what the page leaves out
}

// gather starts the gatherer for the request and returns a channel for its result. It
// uses a goroutine, so that the handler does not have to wait for it longer than
// within.
func (h *handler) gather(ctx context.Context, r *http.Request, q query, within time.Duration) <-chan gathering {
	ctx, g := q.apply(ctx, h.gatherer)
	opts := h.options(r)
	var kept *cache
	if r.URL.RawQuery == "" && r.Method == http.MethodGet {
		kept = h.caches.of(opts)
	}
	result := make(chan gathering, 1) // the goroutine ends even if nobody waits
	go func() {
		var got gathering
		defer func() {
			if p := recover(); p != nil {
				got = gathering{err: fmt.Errorf("exposition: gathering panicked: %v", p)}
				h.log(ctx, "panic in a gatherer", fmt.Errorf("%v\n%s", p, debug.Stack()))
			}
			result <- got
		}()
		if within > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, within-within/10)
			defer cancel()
		}
		v := views.Of(g)
		if v == nil || kept == nil {
			got.families, got.err = g.Gather(ctx)
			return
		}
		v.View(ctx, func(families []views.Family, err error) {
			if got.err = err; len(families) > 0 {
				got.page, got.omitted = kept.page(families, opts)
			}
		})
	}()
	return result
}

// options returns the options for the answer to r.
func (h *handler) options(r *http.Request) Options {
	created := !h.opts.NoCreated && createdByEnv(os.Getenv)
	return Options{ContentType: Negotiate(r.Header), Created: created, Lenient: h.opts.Lenient}
}

// encode sets the answer's header and returns its body. It returns nil if it has
// already answered, with an error or without a body.
func (h *handler) encode(w http.ResponseWriter, r *http.Request, got gathering) (a *answer) {
	defer func() {
		if a == nil || a.page == nil {
			got.page.release()
		}
	}()
	if got.err != nil {
		h.log(r.Context(), "gathering metrics", got.err)
		if len(got.families) == 0 && got.page == nil || h.opts.FailOnError {
			http.Error(w, "gathering metrics: "+got.err.Error(), http.StatusInternalServerError)
			return nil
		}
	}

	contentType := Negotiate(r.Header)
	header := w.Header()
	header.Set("Content-Type", contentType.String())
	header.Add("Vary", "Accept")
	var c *coding
	if !h.opts.DisableCompression && !othersCompress(header) {
		header.Add("Vary", "Accept-Encoding")
		if c = negotiateCoding(r.Header); c != nil {
			header.Set("Content-Encoding", c.name)
		}
	}
	if r.Method == http.MethodHead {
		return nil
	}

	a = &answer{}
	if got.page != nil {
		h.logOmission(r, got.omitted)
		if a.parts = got.page.encoded(c); c == nil {
			a.page = got.page
		}
		return a
	}
	encode := func(w io.Writer) error {
		err := Encode(w, got.families, h.options(r))
		if h.logOmission(r, err) {
			return nil
		}
		return err
	}
	// Neither can fail: writing to an answer always succeeds.
	if c != nil {
		_ = c.compress(a, encode)
	} else {
		_ = encode(a)
	}
	return a
}

// logOmission logs what an encoder left out, unless a recent scrape with the same
// options left out the same. It reports whether err is an omission.
func (h *handler) logOmission(r *http.Request, err error) bool {
	omission := (*OmissionError)(nil)
	if !errors.As(err, &omission) {
		return false
	}
	way := wayOfAsking{h.options(r), r.URL.RawQuery != ""}
	if h.told.first(way, omission.Error()) {
		h.log(r.Context(), "encoding metrics", err)
	}
	return true
}

func (h *handler) log(ctx context.Context, msg string, err error) {
	if h.opts.ErrorLog != nil {
		h.opts.ErrorLog.ErrorContext(ctx, msg, slog.Any("error", err))
	}
}
