package integration

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/internal/certtest"
	"github.com/multiprom/multiprom/internal/pyfiletest"
)

// mpctlSays runs mpctl and returns its exit code and output.
func mpctlSays(t *testing.T, args ...string) (code int, out string) {
	t.Helper()
	cmd := exec.Command(mpctl(t), args...)
	b, err := cmd.CombinedOutput()
	if err != nil {
		require.IsType(t, &exec.ExitError{}, err, "%s", b)
	}
	return cmd.ProcessState.ExitCode(), string(b)
}

// startServer starts a program until the end of the test.
func startServer(t *testing.T, argv ...string) {
	t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = t.TempDir()
	log, err := os.Create(filepath.Join(cmd.Dir, "log"))
	require.NoError(t, err)
	cmd.Stdout, cmd.Stderr = log, log
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			b, _ := os.ReadFile(log.Name())
			t.Logf("%s says:\n%s", argv[0], b)
		}
	})
}

// TestPushgateway pushes to a real Pushgateway with mutual TLS and a password, and reads
// the metrics back.
func TestPushgateway(t *testing.T) {
	program := needCommand(t, "prometheus-pushgateway")
	serverCert, serverKey := certtest.New(t, "server")
	clientCert, clientKey := certtest.New(t, "client")
	dir, conf := mergedJobs(t), t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(conf, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	web := file("web.yml", fmt.Sprintf(`
tls_server_config: {cert_file: %q, key_file: %q, client_auth_type: RequireAndVerifyClientCert, client_ca_file: %q}
basic_auth_users: {pusher: '$2a$04$37ux09hGdJO.UQ78qTtZQ.U0ty2.qBNGKUT4kSXaIMeqHypLuDfCS'}
`, serverCert, serverKey, clientCert))
	secret, wrong := file("secret", "secret\n"), file("wrong", "guess\n")
	address := freeAddress(t)
	startServer(t, program, "--web.listen-address="+address, "--web.config.file="+web)
	url := "https://" + address

	client := tlsClient(t, serverCert, clientCert, clientKey)
	has := func() (text string) {
		t.Helper()
		eventually(t, "the Pushgateway answers", func() bool {
			req := request(t, url+"/metrics")
			req.SetBasicAuth("pusher", "secret")
			resp, err := client.Do(req)
			if err != nil {
				return false
			}
			defer resp.Body.Close()
			b, err := io.ReadAll(resp.Body)
			text = string(b)
			return err == nil && resp.StatusCode == http.StatusOK
		})
		return text
	}
	require.NotContains(t, has(), "jobs_total")
	push := func(more ...string) []string {
		return append([]string{"push", url, "--dir", dir, "--job", "nightly/backup", "--tls-ca", serverCert}, more...)
	}
	known := []string{"--username", "pusher", "--password-file", secret, "--tls-cert", clientCert, "--tls-key", clientKey}
	// Debian's version does not read snappy.
	for _, more := range [][]string{{}, {"--compression", "gzip"}, {"--add"}} {
		args := append(push(more...), append(known, "--grouping", "path=/x y,empty=,z=ü%")...)
		code, out := mpctlSays(t, args...)
		require.Zero(t, code, "%v: %s", more, out)
		require.Contains(t, has(), `jobs_total{empty="",instance="",job="nightly/backup",path="/x y",queue="a b/c",z="ü%"} 7`)
		code, out = mpctlSays(t, append(args, "--delete")...)
		if len(more) == 1 {
			require.Equal(t, 2, code, "add and delete at once")
			continue
		}
		require.Zero(t, code, out)
		require.NotContains(t, has(), "jobs_total")
	}
	for _, c := range []struct {
		name string
		args []string
		want string
	}{
		{"wrong password", append(push(known[4:]...), "--username", "pusher", "--password-file", wrong), "401 Unauthorized"},
		{"no client certificate", push(known[:4]...), "may want a client certificate"},
		{"wrong CA", append(push(known...), "--tls-ca", clientCert), "certificate"},
		{"http", append([]string{"push", address, "--dir", dir, "--job", "a"}, known[:4]...), "400 Bad Request|may want https"},
	} {
		code, out := mpctlSays(t, c.args...)
		require.Equal(t, 2, code, c.name)
		require.Regexp(t, c.want, out, c.name)
		require.Contains(t, out, address, c.name)
	}
	require.Contains(t, has(), "jobs_total{", "what was added last")
}

// TestTextfile has node_exporter read what was written, also if the target's filesystem is
// full.
func TestTextfile(t *testing.T) {
	program := needCommand(t, "prometheus-node-exporter")
	dir, target, address := mergedJobs(t), t.TempDir(), freeAddress(t)
	needRoot(t)
	mountTmpfs(t, target)
	startServer(t, program, "--web.listen-address="+address, "--collector.disable-defaults", "--collector.textfile", "--collector.textfile.directory="+target)
	file := filepath.Join(target, "jobs.prom")
	code, out := mpctlSays(t, "textfile", file, "--dir", dir)
	require.Zero(t, code, out)
	shown := func() {
		t.Helper()
		_, text := get(t, request(t, "http://"+address+"/metrics"))
		require.Contains(t, text, `jobs_total{queue="a b/c"} 7`)
		require.Contains(t, text, "node_textfile_scrape_error 0")
	}
	shown()
	full, err := os.Create(filepath.Join(target, "full"))
	require.NoError(t, err)
	_, err = io.Copy(full, strings.NewReader(strings.Repeat("x", 2<<20)))
	require.Error(t, err)
	require.NoError(t, full.Close())
	code, out = mpctlSays(t, "textfile", file, "--dir", dir)
	require.Equal(t, 2, code)
	require.Contains(t, out, "no space left on device")
	shown()
	entries, err := os.ReadDir(target)
	require.NoError(t, err)
	require.Len(t, entries, 2, "no temporary file is left")
}

// TestGraphite sends metrics to carbon-cache and VictoriaMetrics, as paths and as tags, and
// reads them back.
func TestGraphite(t *testing.T) {
	dir := mergedJobs(t)
	send := func(t *testing.T, address string, more ...string) {
		t.Helper()
		eventually(t, "Graphite takes it", func() bool {
			code, out := mpctlSays(t, append([]string{"graphite", address, "--dir", dir, "--prefix", "my app", "--timeout", "5s"}, more...)...)
			return code == 0 || !strings.Contains(out, "refused")
		})
	}
	t.Run("carbon", func(t *testing.T) {
		fetch, address := needCommand(t, "whisper-fetch"), freeAddress(t)
		home := startCarbon(t, address, "LINE_RECEIVER", "1s:1h")
		send(t, address)
		send(t, address, "--tags")
		for _, find := range []string{"/my_app/jobs_total/queue/a_b_c.wsp", "/_tagged/"} {
			eventually(t, "carbon has written 7 under "+find, func() bool {
				has := false
				filepath.WalkDir(filepath.Join(home, "whisper"), func(path string, d fs.DirEntry, err error) error {
					if err == nil && !d.IsDir() && strings.Contains(path, find) {
						out, err := exec.Command(fetch, "--json", "--drop=nulls", path).Output()
						var got struct {
							Values []float64 `json:"values"`
						}
						has = has || err == nil && json.Unmarshal(out, &got) == nil && len(got.Values) > 0 && got.Values[0] == 7
					}
					return nil
				})
				return has
			})
		}
	})
	t.Run("VictoriaMetrics", func(t *testing.T) {
		program, address, graphite := needCommand(t, "victoria-metrics"), freeAddress(t), freeAddress(t)
		startServer(t, program, "-httpListenAddr="+address, "-graphiteListenAddr="+graphite, "-storageDataPath="+t.TempDir(),
			"-retentionPeriod=100y", "-search.latencyOffset=0s")
		get(t, request(t, "http://"+address+"/health"))
		send(t, graphite)
		send(t, graphite, "--tags")
		send(t, graphite, "--network", "udp", "--prefix", "udp")
		for _, want := range []string{
			`{"metric":{"__name__":"my_app.jobs_total.queue.a_b_c"},"values":[7]`, `{"metric":{"__name__":"my_app.jobs_total","queue":"a_b_c"},"values":[7]`,
			`{"metric":{"__name__":"udp.jobs_total.queue.a_b_c"},"values":[7]`,
		} {
			eventually(t, "VictoriaMetrics shows "+want, func() bool {
				get(t, request(t, "http://"+address+"/internal/force_flush"))
				_, text := get(t, request(t, "http://"+address+`/api/v1/export?match[]={__name__!=""}`))
				return strings.Contains(text, want)
			})
		}
	})
}

// startCarbon starts carbon-cache with one receiver, LINE_RECEIVER for TCP or
// UDP_RECEIVER, until the end of the test, and returns the directory that it writes to.
func startCarbon(t *testing.T, address, receiver, retention string) (home string) {
	t.Helper()
	program := needCommand(t, "carbon-cache")
	home = t.TempDir()
	host, port, _ := strings.Cut(address, ":")
	interfaces := map[string]string{"LINE_RECEIVER": "0", "UDP_RECEIVER": "0", "PICKLE_RECEIVER": "0", "CACHE_QUERY": "0", receiver: port}
	conf := fmt.Sprintf("[cache]\nUSER =\nLOCAL_DATA_DIR = %s/whisper/\nENABLE_UDP_LISTENER = %v\nMAX_CACHE_SIZE = inf\nMAX_UPDATES_PER_SECOND = inf\n"+
		"MAX_CREATES_PER_MINUTE = inf\nENABLE_TAGS = False\nPID_DIR = %s\nLOG_DIR = %s\n", home, receiver == "UDP_RECEIVER", home, home)
	for name, port := range interfaces {
		conf += name + "_INTERFACE = " + host + "\n" + name + "_PORT = " + port + "\n"
	}
	require.NoError(t, os.WriteFile(filepath.Join(home, "carbon.conf"), []byte(conf), 0o600))
	schemas := "[all]\npattern = .*\nretentions = " + retention + "\n"
	require.NoError(t, os.WriteFile(filepath.Join(home, "storage-schemas.conf"), []byte(schemas), 0o600))
	startServer(t, program, "--config="+filepath.Join(home, "carbon.conf"), "--nodaemon", "--logdir="+home, "start")
	return home
}

// TestGraphiteUDP: carbon-cache gets each of 5,100 series over UDP. If they are sent at
// once, half of them are lost.
func TestGraphiteUDP(t *testing.T) {
	const count = 5100
	var samples []pyfiletest.Sample
	for i := range count {
		samples = append(samples, pyfiletest.Sample{Key: fmt.Sprintf(`["requests", "requests_total", {"handler": "/some/long/path/number/%04d"}, "R."]`, i), Value: float64(i)})
	}
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "counter_1.db"), pyfiletest.Timed.Content(samples...), 0o600))
	address := freeAddress(t)
	home := startCarbon(t, address, "UDP_RECEIVER", "60s:10m")
	require.Eventually(t, func() bool {
		code, _ := mpctlSays(t, "graphite", address, "--network", "udp", "--dir", dir)
		return code == 0
	}, 4*time.Minute, 200*time.Millisecond, "carbon listens; before that, sending is refused")
	// carbon creates a file per series, which takes time on a busy machine. A lost series never comes.
	require.Eventually(t, func() bool {
		paths, err := filepath.Glob(filepath.Join(home, "whisper", "requests_total", "handler", "*.wsp"))
		require.NoError(t, err)
		return len(paths) == count
	}, 4*time.Minute, 200*time.Millisecond, "carbon has written each")
}
