package pushgateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/exposition"
	"github.com/multiprom/multiprom/gather"
	"github.com/multiprom/multiprom/metric"
)

var jobs = gather.Func(func(context.Context) ([]*metric.Family, error) {
	return []*metric.Family{{Name: "jobs", Help: "Jobs.", Type: metric.Counter, Series: []metric.Series{{Value: 7}}}}, nil
})

const jobsText = "# HELP jobs_total Jobs.\n# TYPE jobs_total counter\njobs_total 7\n"

// seen is a request as the server received it.
type seen struct {
	method, path, body, encoding, contentType, authorization string
}

// server answers with answer and keeps the requests.
func server(t *testing.T, answer http.HandlerFunc) (*httptest.Server, *[]seen) {
	t.Helper()
	var mu sync.Mutex
	var all []seen
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		mu.Lock()
		all = append(all, seen{
			r.Method, r.URL.EscapedPath(), string(b), r.Header.Get("Content-Encoding"), r.Header.Get("Content-Type"), r.Header.Get("Authorization"),
		})
		mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	return s, &all
}

func accept(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) }

func pusher(t *testing.T, opts Options) *Pusher {
	t.Helper()
	if opts.Job == "" {
		opts.Job = "backup"
	}
	p, err := New(opts)
	require.NoError(t, err)
	return p
}

func TestMethods(t *testing.T) {
	s, got := server(t, accept)
	p := pusher(t, Options{URL: strings.TrimPrefix(s.URL, "http://") + "/prefix/", Username: "me", Password: "secret"})
	require.NoError(t, p.Push(t.Context(), jobs))
	require.NoError(t, p.Add(t.Context(), jobs))
	require.NoError(t, p.Delete(t.Context()))
	const path, basic, text = "/prefix/metrics/job/backup", "Basic bWU6c2VjcmV0", "text/plain; version=0.0.4; charset=utf-8"
	require.Equal(t, []seen{
		{"PUT", path, jobsText, "", text, basic}, {"POST", path, jobsText, "", text, basic}, {"DELETE", path, "", "", "", basic},
	}, *got)
}

// TestOmissions: a Pushgateway would refuse everything because of one series with a
// timestamp. It is left out, and so is one whose name is taken. An error of the server
// has precedence.
func TestOmissions(t *testing.T) {
	g := gather.Func(func(context.Context) ([]*metric.Family, error) {
		families, err := jobs.Gather(t.Context())
		return append(families,
			&metric.Family{Name: "jobs.", Type: metric.Counter, Series: []metric.Series{{}}}, &metric.Family{Name: "jobs_", Type: metric.Counter, Series: []metric.Series{{}}},
			&metric.Family{Name: "late", Type: metric.Gauge, Series: []metric.Series{{Timestamp: time.Unix(5, 0)}}}), err
	})
	s, got := server(t, accept)
	err := pusher(t, Options{URL: s.URL}).Push(t.Context(), g)
	omitted := (*exposition.OmissionError)(nil)
	require.ErrorAs(t, err, &omitted)
	require.Equal(t, exposition.OmissionError{Names: []string{"jobs_"}, Timestamps: 1}, *omitted)
	require.ErrorContains(t, err, "everything else was pushed")
	require.Equal(t, jobsText+"# TYPE jobs__total counter\njobs__total 0\n", (*got)[0].body)

	s, _ = server(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadRequest) })
	status := (*StatusError)(nil)
	require.ErrorAs(t, pusher(t, Options{URL: s.URL}).Push(t.Context(), g), &status)
}

func TestGrouping(t *testing.T) {
	for _, c := range []struct {
		url, job string
		grouping map[string]string
		want     string
	}{
		{"gw:9091", "a", nil, "http://gw:9091/metrics/job/a"},
		{"https://gw//", "a", map[string]string{"z": "1", "b": "2"}, "https://gw/metrics/job/a/b/2/z/1"},
		{"gw", "a/b", map[string]string{"empty": "", "path": "/x", "space": "x y"}, "http://gw/metrics/job@base64/YS9i/empty@base64/=/path@base64/L3g/space@base64/eCB5"},
		{"gw", "ü%", map[string]string{"q": "a?b#c"}, "http://gw/metrics/job/%C3%BC%25/q/a%3Fb%23c"},
		{"http://[::1]:9091/p", "a", nil, "http://[::1]:9091/p/metrics/job/a"},
	} {
		o := Options{URL: c.url, Job: c.job, Grouping: c.grouping}
		u, err := o.target()
		require.NoError(t, err)
		require.Equal(t, c.want, u.String())
	}
	for _, o := range []Options{
		{URL: "gw"}, {URL: "ftp://gw", Job: "a"}, {URL: "", Job: "a"}, {URL: "http://gw?x=1", Job: "a"},
		{URL: "gw", Job: "a", Grouping: map[string]string{"job": "b"}}, {URL: "gw", Job: "a", Grouping: map[string]string{"a-b": "b"}},
		{URL: "gw", Job: "a", Username: "u", Token: "t"}, {URL: "gw", Job: "a", TLS: TLS{CAFile: "none.pem"}}, {URL: "gw", Job: "a", TLS: TLS{CertFile: "none.pem"}},
	} {
		_, err := New(o)
		require.ErrorContains(t, err, "pushgateway: ")
	}
	ip := InstanceIPGroupingKey()["instance"]
	require.NotNil(t, net.ParseIP(ip), ip)
}

func TestCompression(t *testing.T) {
	s, got := server(t, accept)
	for _, c := range []Compression{Gzip, Snappy} {
		require.NoError(t, pusher(t, Options{URL: s.URL, Compression: c, Token: "t"}).Push(t.Context(), jobs))
		last := (*got)[len(*got)-1]
		require.Equal(t, c.String(), last.encoding)
		require.Equal(t, "Bearer t", last.authorization)
		var r io.Reader = snappy.NewReader(strings.NewReader(last.body))
		if c == Gzip {
			var err error
			r, err = gzip.NewReader(strings.NewReader(last.body))
			require.NoError(t, err)
		}
		b, err := io.ReadAll(r)
		require.NoError(t, err)
		require.Equal(t, jobsText, string(b))
	}
}

// TestRedirects: redirects are followed only if asked for. Then method and body stay,
// and credentials go to nobody else.
func TestRedirects(t *testing.T) {
	for _, code := range []int{301, 302, 303, 307, 308} {
		other, there := server(t, accept)
		var here *httptest.Server
		here, got := server(t, func(w http.ResponseWriter, r *http.Request) {
			switch {
			case strings.HasPrefix(r.URL.Path, "/metrics"):
				http.Redirect(w, r, "/same"+r.URL.Path, code)
			default:
				http.Redirect(w, r, other.URL+"/other", code)
			}
		})
		opts := Options{URL: here.URL, Username: "me", Password: "secret"}
		err := pusher(t, opts).Push(t.Context(), jobs)
		require.ErrorIs(t, err, errRedirect)
		require.ErrorContains(t, err, "/same/metrics/job/backup")
		require.Len(t, *got, 1)

		opts.FollowRedirects = true
		require.NoError(t, pusher(t, opts).Push(t.Context(), jobs))
		require.Len(t, *got, 3)
		second := (*got)[2]
		require.Equal(t, "PUT /same/metrics/job/backup "+jobsText, second.method+" "+second.path+" "+second.body)
		require.NotEmpty(t, second.authorization, "the same server")
		require.Len(t, *there, 1)
		third := (*there)[0]
		require.Equal(t, "PUT /other "+jobsText, third.method+" "+third.path+" "+third.body)
		require.Empty(t, third.authorization, "another server, though on the same host")
	}
	round, _ := server(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, r.URL.Path, http.StatusTemporaryRedirect)
	})
	err := pusher(t, Options{URL: round.URL, FollowRedirects: true}).Push(t.Context(), jobs)
	require.ErrorIs(t, err, errRedirect)
	require.ErrorContains(t, err, "more than 10 times")
}

func TestSameServer(t *testing.T) {
	for _, c := range []struct {
		from, to string
		want     bool
	}{
		{"http://a/x", "http://a/y", true}, {"http://a", "https://a:8443", true}, {"https://a", "http://a", false},
		{"http://a", "http://b", false}, {"http://a:1", "http://a:2", false}, {"https://a", "https://a.b", false},
	} {
		from, err := url.Parse(c.from)
		require.NoError(t, err)
		to, err := url.Parse(c.to)
		require.NoError(t, err)
		require.Equal(t, c.want, sameServer(from, to), "%s to %s", c.from, c.to)
	}
}

// TestRefused: the error has the server's message and no password.
func TestRefused(t *testing.T) {
	s, _ := server(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(400)
		io.WriteString(w, "pushed metrics are invalid: "+strings.Repeat("x", 10_000))
	})
	u, err := url.Parse(s.URL)
	require.NoError(t, err)
	u.User = url.UserPassword("me", "hidden")
	err = pusher(t, Options{URL: u.String()}).Push(t.Context(), jobs)
	var status *StatusError
	require.ErrorAs(t, err, &status)
	require.Equal(t, 400, status.Code)
	require.Len(t, status.Message, maxMessage)
	require.ErrorContains(t, err, "PUT "+s.URL+"/metrics/job/backup: 400 Bad Request: pushed metrics are invalid")
	require.NotContains(t, err.Error(), "hidden")

	broken := errors.New("the database is down")
	failing := gather.Func(func(context.Context) ([]*metric.Family, error) { return nil, broken })
	require.ErrorIs(t, pusher(t, Options{URL: s.URL}).Push(t.Context(), failing), broken)
}

// TestUnwell: a server that is missing, hangs or goes away is an error within the
// deadline.
func TestUnwell(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	down := l.Addr().String()
	require.NoError(t, l.Close())
	err = pusher(t, Options{URL: down}).Push(t.Context(), jobs)
	require.ErrorContains(t, err, down)
	require.ErrorContains(t, err, "refused")

	release := make(chan struct{})
	hangs, _ := server(t, func(http.ResponseWriter, *http.Request) { <-release })
	t.Cleanup(func() { close(release) }) // before the server is closed
	err = pusher(t, Options{URL: hangs.URL, Timeout: 20 * time.Millisecond}).Push(t.Context(), jobs)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, pusher(t, Options{URL: hangs.URL}).Push(ctx, jobs), context.DeadlineExceeded)

	leaves, _ := server(t, func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			c.Close()
		}
	})
	err = pusher(t, Options{URL: leaves.URL}).Push(t.Context(), jobs)
	require.ErrorIs(t, err, io.EOF)
	big := gather.Func(func(context.Context) ([]*metric.Family, error) {
		return []*metric.Family{{Name: "x", Help: string(bytes.Repeat([]byte("h"), 4<<20)), Type: metric.Gauge, Series: []metric.Series{{Value: 1}}}}, nil
	})
	require.Error(t, pusher(t, Options{URL: leaves.URL}).Push(t.Context(), big), "while the body is sent")
}
