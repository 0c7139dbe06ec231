package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/multiprom/multiprom/multiproc"
)

// network is a few network namespaces that the test has made: a receiver, and machines that
// each have a link to it and to nothing else.
type network struct {
	t        *testing.T
	receiver string
	client   *http.Client // in the namespace of the receiver
}

func ip(t *testing.T, args ...string) {
	t.Helper()
	out, err := exec.Command("ip", args...).CombinedOutput()
	require.NoError(t, err, "ip %v: %s", args, out)
}

func newNetwork(t *testing.T) *network {
	t.Helper()
	needRoot(t)
	needCommand(t, "ip")
	probe := fmt.Sprintf("mptest%d", os.Getpid())
	out, err := exec.Command("ip", "netns", "add", probe).CombinedOutput()
	need(t, err == nil, fmt.Sprintf("network namespaces cannot be made: %s", out))
	n := &network{t: t, receiver: probe}
	t.Cleanup(func() { ip(t, "netns", "del", probe) })
	ip(t, "-n", probe, "link", "set", "lo", "up")
	n.client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(_ context.Context, _, address string) (net.Conn, error) {
		return dialIn(probe, address)
	}}}
	return n
}

// dialIn connects from a namespace. A connection stays in the namespace in which its socket was
// made.
func dialIn(namespace, address string) (conn net.Conn, err error) {
	done := make(chan struct{})
	go func() { // the thread ends with the goroutine, since it is never unlocked
		defer close(done)
		runtime.LockOSThread()
		var fd int
		if fd, err = unix.Open("/run/netns/"+namespace, unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
			return
		}
		defer unix.Close(fd)
		if err = unix.Setns(fd, unix.CLONE_NEWNET); err == nil {
			conn, err = net.DialTimeout("tcp4", address, 10*time.Second)
		}
	}()
	<-done
	return conn, err
}

// machine adds machine number i and returns its namespace, and the address that the receiver
// has on its link.
func (n *network) machine(i int) (namespace, receiver string) {
	n.t.Helper()
	namespace = fmt.Sprintf("%sm%d", n.receiver, i)
	ip(n.t, "netns", "add", namespace)
	n.t.Cleanup(func() { ip(n.t, "netns", "del", namespace) })
	link := fmt.Sprintf("m%d", i)
	receiver = fmt.Sprintf("10.213.%d.1", i)
	ip(n.t, "-n", namespace, "link", "add", "uplink", "type", "veth", "peer", "name", link, "netns", n.receiver)
	ip(n.t, "-n", namespace, "addr", "add", fmt.Sprintf("10.213.%d.2/24", i), "dev", "uplink")
	ip(n.t, "-n", n.receiver, "addr", "add", receiver+"/24", "dev", link)
	ip(n.t, "-n", namespace, "link", "set", "lo", "up")
	ip(n.t, "-n", namespace, "link", "set", "uplink", "up")
	ip(n.t, "-n", n.receiver, "link", "set", link, "up")
	return namespace, receiver
}

// start starts a program in a namespace until the end of the test.
func (n *network) start(namespace string, argv ...string) {
	n.t.Helper()
	startServer(n.t, append([]string{"ip", "netns", "exec", namespace}, argv...)...) // ip becomes the program
}

// query returns the value of an instant query of the receiver.
func (n *network) query(api, expr string) (float64, bool) {
	resp, err := n.client.Get(api + "/api/v1/query?query=" + url.QueryEscape(expr))
	if err != nil {
		return 0, false
	}
	defer resp.Body.Close()
	var answer struct {
		Data struct {
			Result []struct{ Value [2]any }
		}
	}
	if json.NewDecoder(resp.Body).Decode(&answer) != nil || len(answer.Data.Result) != 1 {
		return 0, false
	}
	v, err := strconv.ParseFloat(answer.Data.Result[0].Value[1].(string), 64)
	return v, err == nil
}

// TestThreeMachines: three machines send to one Prometheus. While the link of one is down, the
// others' values arrive. Once it is up, the sum is right, no counter has gone back, and with a
// queue nothing of that time is missing.
func TestThreeMachines(t *testing.T) {
	prometheus := needCommand(t, "prometheus")
	n := newNetwork(t)
	dir := t.TempDir()
	config := filepath.Join(dir, "p.yml")
	require.NoError(t, os.WriteFile(config, []byte("scrape_configs: []\n"), 0o600))
	n.start(n.receiver, prometheus, "--web.enable-remote-write-receiver", "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address=0.0.0.0:9090", "--log.level=error")
	const api = "http://127.0.0.1:9090" // of the namespace

	const machines, cut = 3, 1 // the link of machine 1 is cut; machine 2 has no queue
	var counters [machines]*multiproc.Counter
	var names [machines]string
	for i := range machines {
		app := filepath.Join(t.TempDir(), "app")
		require.NoError(t, os.Mkdir(app, 0o700))
		set := multiproc.NewSet(multiproc.SetOptions{Dir: app})
		t.Cleanup(func() { set.Close() })
		counters[i] = multiproc.MustNew(set.NewCounter(multiproc.CounterOpts{Name: "app_jobs", Help: "J."}))
		var receiver string
		names[i], receiver = n.machine(i)
		args := []string{mpctl(t), "serve", "--dir", app, "--web.listen-address", "127.0.0.1:0", "--remote-write", "http://" + receiver + ":9090/api/v1/write",
			"--send-label", fmt.Sprintf("instance=machine%d", i), "--send-every", "100ms", "--send-timeout", "3s"}
		if i != 2 {
			args = append(args, "--send-queue", filepath.Join(t.TempDir(), "queue"))
		}
		n.start(names[i], args...)
	}
	total := 0.0
	add := func() {
		for _, c := range counters {
			c.Inc()
			total++
		}
	}
	of := func(machine int) float64 {
		v, _ := n.query(api, fmt.Sprintf(`app_jobs_total{instance="machine%d"}`, machine))
		return v
	}
	settled := func(what string) {
		t.Helper()
		require.Eventually(t, func() bool {
			v, ok := n.query(api, "sum(app_jobs_total)")
			return ok && v == total
		}, 3*time.Minute, 50*time.Millisecond, what)
	}
	add()
	settled("all have arrived")

	down := outage(t)
	from := time.Now()
	ip(t, "-n", names[cut], "link", "set", "uplink", "down")
	before := of(cut)
	require.Eventually(t, func() bool {
		add()
		return time.Since(from) >= down && of(0) > before && of(2) > before
	}, down+2*time.Minute, 50*time.Millisecond, "the others' values arrive")
	require.Equal(t, before, of(cut), "nothing of the one whose link is down")
	silent := time.Since(from)
	ip(t, "-n", names[cut], "link", "set", "uplink", "up")
	settled("the sum is right afterwards")
	for i := range machines {
		selector := fmt.Sprintf(`app_jobs_total{instance="machine%d"}[1h]`, i)
		resets, ok := n.query(api, "resets("+selector+")")
		require.True(t, ok)
		require.Zero(t, resets)
		// Each value of the other machines is different, and so are those of the queue.
		changes, ok := n.query(api, "changes("+selector+")")
		require.True(t, ok)
		require.Greater(t, changes, silent.Seconds()/2, "machine %d: what was counted meanwhile, step by step", i)
	}
}

// outage is how long a link is down: two seconds, or MULTIPROM_OUTAGE.
func outage(t *testing.T) time.Duration {
	t.Helper()
	d := 2 * time.Second
	if s := os.Getenv("MULTIPROM_OUTAGE"); s != "" {
		var err error
		d, err = time.ParseDuration(s)
		require.NoError(t, err)
	}
	return d
}
