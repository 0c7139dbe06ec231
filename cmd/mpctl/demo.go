package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/gather"
	"github.com/multiprom/multiprom/registry"
	"github.com/multiprom/multiprom/supervisor"
)

// demoOptions are the flags of `mpctl demo`.
type demoOptions struct {
	workers  int
	clients  int
	duration time.Duration
	kill     bool
	lose     int
	asJSON   bool
	metrics  string
	dir      string
	reload   time.Duration
}

// demoResult is the result of the demo. It is exact if
// answered <= merged <= answered + broken. If a worker dies, it may have counted a
// request whose answer is lost. No other difference is allowed.
type demoResult struct {
	Answered uint64 `json:"answered"` // requests that were answered
	Broken   uint64 `json:"broken"`   // requests whose connection broke
	Merged   uint64 `json:"merged"`   // requests in the merged /metrics
	Kills    uint64 `json:"kills"`
	Exact    bool   `json:"exact"`
}

func newDemo() *cobra.Command {
	var o demoOptions
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "four workers, real requests, one true /metrics",
		Long: `Start prefork workers that answer HTTP requests on loopback, send them requests,
and serve the merged /metrics. A worker counts a request before it answers. At
the end the demo compares the merged count with what the client saw:

  answered <= merged <= answered + broken

With --kill, random workers are killed by SIGKILL and replaced. The exit code is
0 only if the count is exact.`,
		Example: "  mpctl demo --duration 5s --kill",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, syscall.SIGINT)
			defer stop()
			r, err := runDemo(ctx, o, cmd.ErrOrStderr())
			if err != nil {
				return fmt.Errorf("demo: %w", err)
			}
			if err := r.print(cmd.OutOrStdout(), o.asJSON); err != nil {
				return err
			}
			if !r.Exact {
				return errNo
			}
			return nil
		},
	}
	cmd.Flags().IntVar(&o.workers, "workers", 4, "number of workers")
	cmd.Flags().IntVar(&o.clients, "clients", 8, "number of concurrent requests")
	cmd.Flags().DurationVar(&o.duration, "duration", 10*time.Second, "how long to send requests; -1 to run until interrupted")
	cmd.Flags().BoolVar(&o.kill, "kill", false, "kill random workers by SIGKILL")
	cmd.Flags().StringVar(&o.metrics, "metrics", "127.0.0.1:0", "address of the merged /metrics")
	cmd.Flags().StringVar(&o.dir, "dir", "", "keep the metric files in this directory (default a temporary one)")
	cmd.Flags().DurationVar(&o.reload, "reload", 0, "replace all workers this often (default never)")
	cmd.Flags().BoolVar(&o.asJSON, "json", false, "print the result as JSON")
	// Without --kill the loss always shows. With --kill, a broken request that was
	// counted can hide it.
	cmd.Flags().IntVar(&o.lose, "lose", 0, "drop this many increments, to see that the demo notices")
	cmd.Flags().MarkHidden("lose")
	obey(cmd, atLeast(1, ""), "workers", "clients")
	obey(cmd, orNoLimit(longerThanZero(", or -1 for until interrupted"), true), "duration")
	obey(cmd, longerThanZero("; leave it out to replace none"), "reload")
	obey(cmd, address("tcp", "tcp4", "tcp6"), "metrics")
	obey(cmd, notEmpty, "dir")
	obey(cmd, atLeast(0, ""), "lose")
	return cmd
}

func (r *demoResult) print(w io.Writer, asJSON bool) error {
	if asJSON {
		return printJSON(w, r)
	}
	verdict := "NOT exact: answered <= merged <= answered + broken does not hold"
	if r.Exact {
		verdict = "exact"
	}
	_, err := fmt.Fprintf(w, "answered %d\nbroken   %d\nmerged   %d\nkills    %d\n%s\n", r.Answered, r.Broken, r.Merged, r.Kills, verdict)
	return err
}

// demo is one run: the workers, the clients and what the clients saw.
type demo struct {
	opts   demoOptions
	sup    *supervisor.Supervisor
	view   gather.Gatherer
	client *demoClient
	kills  atomic.Uint64
}

func runDemo(ctx context.Context, o demoOptions, progress io.Writer) (_ *demoResult, err error) {
	dir := o.dir
	if dir == "" {
		if dir, err = os.MkdirTemp(demoParent(), "multiprom-demo-"); err != nil {
			return nil, err
		}
		defer os.RemoveAll(dir)
	}
	d := &demo{opts: o}
	a, err := aggregate.Open(dir, aggregate.Options{Workers: func() []int { return pids(d.sup) }})
	if err != nil {
		return nil, err
	}
	defer a.Close()
	d.view = registry.Directory(a)
	d.sup, err = supervisor.New(supervisor.Options{
		Workers: o.workers, Dir: dir, Args: []string{"demo-worker"},
		Env:            append(os.Environ(), envLose+"="+strconv.Itoa(o.lose)),
		Listeners:      []supervisor.Listener{{Address: "tcp://127.0.0.1:0"}},
		MetricsAddress: o.metrics, Metrics: newServer(d.view, newSite(a, nil, ""), defaultScrapeLimits, slog.New(slog.DiscardHandler)).Handler,
		DrainTimeout: 10 * time.Second,
		Backoff:      supervisor.Backoff{Max: 500 * time.Millisecond}, // workers die young on purpose
		// Start from zero: an earlier demo may have left files in --dir.
		OnStart: supervisor.OnStartWipe,
	})
	if err != nil {
		return nil, err
	}
	d.client = newDemoClient("http://" + d.sup.Addrs()[0].String() + "/")
	fmt.Fprintf(progress, "%s on http://%s, merged metrics on http://%s/metrics\n",
		plural(o.workers, "worker"), d.sup.Addrs()[0], d.sup.MetricsAddr())

	ended := make(chan error, 1)
	supCtx, stopWorkers := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWorkers()
	go func() { ended <- d.sup.Run(supCtx) }()
	d.load(ctx, progress)
	// Read the merged count while the workers are alive and again after all of
	// them have ended: the count must not fall.
	live, liveErr := d.merged(context.WithoutCancel(ctx))
	stopWorkers()
	if err := errors.Join(<-ended, liveErr); err != nil {
		return nil, err
	}
	merged, err := d.merged(context.WithoutCancel(ctx))
	if err != nil {
		return nil, err
	}
	if live > merged {
		return nil, fmt.Errorf("the merged count fell from %d to %d when the workers ended", live, merged)
	}
	r := &demoResult{Answered: d.client.answered.Load(), Broken: d.client.broken.Load(), Merged: merged, Kills: d.kills.Load()}
	r.Exact = r.Answered <= r.Merged && r.Merged <= r.Answered+r.Broken
	return r, nil
}

// demoParent prefers a tmpfs, as a service should.
func demoParent() string {
	const shm = "/dev/shm"
	if info, err := os.Stat(shm); err == nil && info.IsDir() {
		return shm
	}
	return ""
}

// load sends requests, and kills workers, until the duration is over.
func (d *demo) load(ctx context.Context, progress io.Writer) {
	if d.opts.duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d.opts.duration)
		defer cancel()
	}
	var wg sync.WaitGroup
	for range d.opts.clients {
		wg.Go(func() { d.client.run(ctx) })
	}
	if d.opts.kill {
		wg.Go(func() { d.killWorkers(ctx) })
	}
	if d.opts.reload > 0 {
		wg.Go(func() { d.reloadWorkers(ctx) })
	}
	if isTerminal(progress) {
		wg.Go(func() { d.show(ctx, progress) })
	}
	wg.Wait()
}

// killWorkers kills a random worker every 100 to 500 ms. Workers are children of this
// process, so a pid is not reused between the lookup and the signal.
func (d *demo) killWorkers(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(100*time.Millisecond + rand.N(400*time.Millisecond)):
		}
		var serving []supervisor.WorkerInfo
		for _, w := range d.sup.Workers() {
			if w.State == supervisor.Serving {
				serving = append(serving, w)
			}
		}
		if len(serving) == 0 {
			continue
		}
		p, err := os.FindProcess(serving[rand.IntN(len(serving))].PID)
		if err == nil && p.Kill() == nil {
			d.kills.Add(1)
		}
	}
}

// reloadWorkers replaces all workers one by one, periodically. A reload may fail
// because a replacement was killed; the next reload follows.
func (d *demo) reloadWorkers(ctx context.Context) {
	tick := time.NewTicker(d.opts.reload)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			_ = d.sup.Reload(ctx)
		}
	}
}

// merged returns the merged count of requests.
func (d *demo) merged(ctx context.Context) (uint64, error) {
	v, err := registry.SampleValue(ctx, d.view, "demo_requests_total", map[string]string{"method": "POST", "code": "200"})
	return uint64(v), err
}

// show redraws a table on a terminal four times a second.
func (d *demo) show(ctx context.Context, w io.Writer) {
	lines := 0
	for {
		if lines > 0 {
			fmt.Fprintf(w, "\x1b[%dA\x1b[J", lines)
		}
		var rows [][]string
		for _, i := range d.sup.Workers() {
			rows = append(rows, []string{
				strconv.Itoa(i.Slot), strconv.Itoa(i.PID), i.State.String(), strconv.Itoa(i.Restarts),
				time.Since(i.Started).Round(100 * time.Millisecond).String(),
			})
		}
		table(w, []string{"SLOT", "PID", "STATE", "RESTARTS", "AGE"}, rows)
		merged, err := d.merged(ctx)
		if err == nil {
			fmt.Fprintf(w, "answered %d  broken %d  merged %d  kills %d\n",
				d.client.answered.Load(), d.client.broken.Load(), merged, d.kills.Load())
		} else {
			fmt.Fprintln(w, "no request has been counted yet")
		}
		lines = len(rows) + 2
		select {
		case <-ctx.Done():
			return
		case <-time.After(250 * time.Millisecond):
		}
	}
}
