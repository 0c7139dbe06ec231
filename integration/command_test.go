package integration

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/certtest"
	"github.com/multiprom/multiprom/internal/pyfiletest"
	"github.com/multiprom/multiprom/multiproc"
	"github.com/multiprom/multiprom/supervisor"
)

// serverRole is a foreign program for `mpctl run`: it answers with its pid on the socket
// from LISTEN_FDS, and counts.
func serverRole() error {
	served := multiproc.NewCounter(multiproc.CounterOpts{Name: "run_served", Help: "Requests served."})
	return serveInherited(func(*http.Request) { served.Inc() })
}

// serveInherited counts requests on the socket of LISTEN_FDS before it answers
// with its pid.
func serveInherited(count func(*http.Request)) error {
	if pid := os.Getenv("LISTEN_PID"); pid != strconv.Itoa(os.Getpid()) {
		return fmt.Errorf("LISTEN_PID is %q, not %d", pid, os.Getpid())
	}
	listeners, err := supervisor.Listeners()
	if err != nil {
		return err
	}
	return http.Serve(listeners[0], http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		count(r)
		fmt.Fprint(w, os.Getpid())
	}))
}

// startMpctl starts a long-running mpctl and returns it with the lines of its stderr. At
// the end of the test SIGTERM must end it with exit code 0.
func startMpctl(t *testing.T, env []string, args ...string) *bufio.Scanner {
	t.Helper()
	cmd := exec.Command(mpctl(t), args...)
	cmd.Env = append(os.Environ(), env...)
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("mpctl %v: %v", args, err)
		}
	})
	return bufio.NewScanner(stderr)
}

// get returns the answer as soon as the server is up.
func get(t testing.TB, req *http.Request) (code int, body string) {
	t.Helper()
	eventually(t, "the server answers", func() bool {
		resp, err := http.DefaultTransport.RoundTrip(req.Clone(t.Context()))
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		code, body = resp.StatusCode, string(b)
		return err == nil
	})
	return code, body
}

func request(t testing.TB, url string) *http.Request {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, url, nil)
	require.NoError(t, err)
	req.Close = true // each request may reach another worker
	return req
}

// TestServe scrapes `mpctl serve` next to a living worker, with and without a password.
func TestServe(t *testing.T) {
	dir := t.TempDir()
	h := start(t, "updates", dir)
	h.expect(t, "attempt "+strconv.Itoa(batch))
	h.expect(t, "done "+strconv.Itoa(batch))
	config := filepath.Join(t.TempDir(), "web.yml")
	// The hash of "secret".
	require.NoError(t, os.WriteFile(config, []byte("basic_auth_users:\n  scraper: '$2a$04$37ux09hGdJO.UQ78qTtZQ.U0ty2.qBNGKUT4kSXaIMeqHypLuDfCS'\n"), 0o600))

	open, closed := freeAddress(t), freeAddress(t)
	go drain(startMpctl(t, nil, "serve", "--dir", dir, "--web.listen-address", open))
	go drain(startMpctl(t, nil, "serve", "--dir", dir, "--web.listen-address", closed, "--web.config.file", config))
	code, body := get(t, request(t, "http://"+open+"/metrics"))
	require.Equal(t, 200, code)
	require.Contains(t, body, "kill_updates_total{")
	require.Contains(t, body, "process_resident_memory_bytes{")

	req := request(t, "http://"+closed+"/metrics")
	code, _ = get(t, req)
	require.Equal(t, 401, code)
	req.SetBasicAuth("scraper", "secret")
	code, body = get(t, req)
	require.Equal(t, 200, code)
	require.Contains(t, body, "kill_updates_total{")
}

// TestServeMutualTLS scrapes an `mpctl serve` that requires a client certificate.
func TestServeMutualTLS(t *testing.T) {
	serverCert, serverKey := certtest.New(t, "server")
	clientCert, clientKey := certtest.New(t, "client")
	config := filepath.Join(t.TempDir(), "web.yml")
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil,
		"tls_server_config: {cert_file: %q, key_file: %q, client_auth_type: RequireAndVerifyClientCert, client_ca_file: %q}\n",
		serverCert, serverKey, clientCert), 0o600))
	address := freeAddress(t)
	go drain(startMpctl(t, nil, "serve", "--dir", mergedJobs(t), "--web.listen-address", address, "--web.config.file", config))
	scrape := func(client *http.Client) (body string, err error) {
		resp, err := client.Get("https://" + address + "/metrics")
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		return string(b), err
	}
	known, unknown := tlsClient(t, serverCert, clientCert, clientKey), tlsClient(t, serverCert, "", "")
	eventually(t, "the known client gets the metrics", func() bool {
		body, err := scrape(known)
		return err == nil && strings.Contains(body, `jobs_total{queue="a b/c"} 7`)
	})
	_, err := scrape(unknown)
	require.Error(t, err)
}

// mergedJobs returns a directory whose merged jobs_total is 7.
func mergedJobs(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for i, n := range []float64{3, 4} {
		b := pyfiletest.Timed.Content(pyfiletest.Sample{Key: `["jobs", "jobs_total", {"queue": "a b/c"}, "Jobs."]`, Value: n})
		require.NoError(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("counter_%d.db", i)), b, 0o600))
	}
	return dir
}

// tlsClient trusts a server's certificate, and has a certificate unless cert is empty.
func tlsClient(t *testing.T, ca, cert, key string) *http.Client {
	t.Helper()
	pem, err := os.ReadFile(ca)
	require.NoError(t, err)
	config := &tls.Config{RootCAs: x509.NewCertPool()}
	require.True(t, config.RootCAs.AppendCertsFromPEM(pem))
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		require.NoError(t, err)
		config.Certificates = []tls.Certificate{pair}
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: config}}
}

// drain discards what it reads, so that the writer never blocks.
func drain(lines *bufio.Scanner) {
	for lines.Scan() {
	}
}

var workerSocket = regexp.MustCompile(`^listening on (\S+)$`)

// TestRun preforks a foreign program. Its workers share one socket, dead workers are
// replaced, and the merged /metrics has the counts of all of them.
func TestRun(t *testing.T) {
	dir := t.TempDir()
	self, err := os.Executable()
	require.NoError(t, err)
	lines := startMpctl(t, []string{envRole + "=server"}, "run", "-n", "3", "--dir", dir,
		"--listen", "tcp://127.0.0.1:0", "--metrics", "127.0.0.1:0", "--", self)
	require.True(t, lines.Scan())
	m := workerSocket.FindStringSubmatch(lines.Text())
	require.NotNil(t, m, lines.Text())
	require.True(t, lines.Scan())
	metrics := metricsURL.FindString(lines.Text())
	require.NotEmpty(t, metrics)
	go drain(lines)
	answered := 0
	for i := range 30 {
		code, body := get(t, request(t, "http://"+m[1]))
		require.Equal(t, 200, code)
		answered++
		if i == 10 {
			pid, err := strconv.Atoi(strings.TrimSpace(body))
			require.NoError(t, err)
			worker, err := os.FindProcess(pid)
			require.NoError(t, err)
			require.NoError(t, worker.Kill()) // it has answered, so no request is running
		}
	}
	require.EqualValues(t, answered, scrapeValue(t, metrics, "run_served_total"))
	a := open(t, dir)
	eventually(t, "the killed worker counts as dead", func() bool {
		return samples(t, a)[`multiprom_processes{state="dead"}`] == 1
	})
	require.EqualValues(t, answered, samples(t, a)["run_served_total"])
}
