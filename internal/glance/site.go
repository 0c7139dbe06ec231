package glance

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	_ "embed" // the style and the script
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/internal/record"
)

// SiteOptions of NewSite. The zero value is useful.
type SiteOptions struct {
	Version string  // of the program
	Facts   []Fact  // what else the page says of the server
	Ready   []Check // what must hold, beside a directory that can be read

	// Trends returns what a recorder has seen, if there is one. Default: nil.
	Trends func() record.Trends
}

// Fact is a line about the server.
type Fact struct{ Name, Value string }

// Check says why something is not ready, or nil.
type Check func() error

// Site is the status page of a directory and two probes. Add has the paths.
type Site struct {
	a       *aggregate.Aggregator
	watcher *Watcher
	opts    SiteOptions
	started time.Time

	mu   sync.Mutex // of the rest
	last rendered
	zip  *gzip.Writer
}

// rendered is a picture as a page.
type rendered struct {
	picture      *Picture
	query        string
	text, packed []byte
}

// NewSite returns the site of an aggregator, which it does not close.
func NewSite(a *aggregate.Aggregator, opts SiteOptions) *Site {
	return &Site{
		a: a, opts: opts, started: time.Now(),
		watcher: New(a, Options{MinInterval: time.Second, Values: 3, ValuesFamilies: 10, ValuesSeries: 20_000, Trends: opts.Trends}),
	}
}

// Add adds the handlers of /, /-/healthy and /-/ready.
func (s *Site) Add(mux *http.ServeMux) {
	mux.HandleFunc("GET /{$}", s.page)
	mux.HandleFunc("GET /-/healthy", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "healthy") })
	mux.HandleFunc("GET /-/ready", s.ready)
}

// ready answers whether the directory can be read: 200 or 503. What is wrong with single
// files is no reason for 503, because a scrape still serves the others.
func (s *Site) ready(w http.ResponseWriter, _ *http.Request) {
	_, err := s.a.Processes()
	for _, check := range s.opts.Ready {
		if err == nil {
			err = check()
		}
	}
	if err != nil {
		http.Error(w, "not ready: "+err.Error(), http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ready")
}

//go:embed page.css
var style string

//go:embed page.js
var script string

// policy allows the page's own style and script only, nothing from elsewhere.
var policy = fmt.Sprintf("default-src 'none'; style-src '%s'; script-src '%s'; img-src data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
	hashOf(style), hashOf(script))

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// page answers with the status page.
func (s *Site) page(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	p, err := s.watcher.Recent(r.Context())
	if err != nil {
		http.Error(w, "the directory cannot be read: "+err.Error(), http.StatusInternalServerError)
		return
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Add("Vary", "Accept-Encoding")
	packs := strings.Contains(r.Header.Get("Accept-Encoding"), "gzip")
	if packs {
		h.Set("Content-Encoding", "gzip")
	}
	_, _ = w.Write(s.text(p, r.URL.Query(), packs)) // the client may be gone
}

// text returns the page, compressed if packs is set. All who look at one picture in the same
// order share it.
func (s *Site) text(p *Picture, query url.Values, packs bool) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if by := query.Encode(); s.last.picture != p || s.last.query != by {
		s.last = rendered{picture: p, query: by, text: s.render(p, query)}
	}
	if !packs {
		return s.last.text
	}
	if s.last.packed == nil {
		var b bytes.Buffer
		if s.zip == nil {
			s.zip = gzip.NewWriter(&b) // it is large
		}
		s.zip.Reset(&b)
		_, _ = s.zip.Write(s.last.text) // to memory
		_ = s.zip.Close()
		s.last.packed = b.Bytes()
	}
	return s.last.packed
}
