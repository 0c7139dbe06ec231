package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/bridge/delivery"
	"github.com/multiprom/multiprom/bridge/otlp"
	"github.com/multiprom/multiprom/bridge/remotewrite"
	"github.com/multiprom/multiprom/gather"
	"github.com/multiprom/multiprom/metric"
)

const (
	seriesCount = 7 // of the view
	batchSize   = 3 // so that a round has three requests
	interval    = 15 * time.Second
	longest     = 30 * time.Second // MaxBackoff
	stopTime    = 10 * time.Second // in which Run ends
)

// failures are the ways in which a receiver fails. Of a request that is partly stored nothing is
// sent again.
var failures = []*failure{
	{name: "500", retried: true, answer: status(500)},
	{name: "503", retried: true, retriedOTLP: true, answer: status(503)},
	{name: "503, Retry-After", retried: true, retriedOTLP: true, silence: 2 * time.Minute, answer: status(503, "Retry-After", "120")},
	{name: "429", retried: true, retriedOTLP: true, answer: status(429)},
	{name: "429, Retry-After", retried: true, retriedOTLP: true, silence: 7 * time.Minute, answer: status(429, "Retry-After", "420")},
	{name: "429, short Retry-After", retried: true, retriedOTLP: true, silence: time.Second, answer: status(429, "Retry-After", "1")},
	{name: "429, date", retried: true, retriedOTLP: true, silence: 89 * time.Second, answer: func(r *receiver, req *http.Request) (*http.Response, error) {
		return status(429, "Retry-After", time.Now().Add(90*time.Second).UTC().Format(http.TimeFormat))(r, req)
	}},
	{name: "400, endless body", answer: func(r *receiver, _ *http.Request) (*http.Response, error) {
		return r.respond(400, http.Header{}, endless{}), nil
	}},
	{name: "301", answer: status(301, "Location", "/elsewhere")},
	{name: "hangs", retried: true, retriedOTLP: true, answer: func(_ *receiver, req *http.Request) (*http.Response, error) {
		<-req.Context().Done()
		return nil, req.Context().Err()
	}},
	{name: "closes", retried: true, retriedOTLP: true, answer: func(*receiver, *http.Request) (*http.Response, error) {
		return nil, errors.New("connection reset by peer")
	}},
	{name: "closes midway", retried: true, retriedOTLP: true, stores: batchSize, answer: func(r *receiver, _ *http.Request) (*http.Response, error) {
		return r.respond(200, r.took(batchSize, 0).Header, brokenBody{}), nil
	}},
	{name: "stores a part", stores: batchSize - 1, answer: func(r *receiver, _ *http.Request) (*http.Response, error) {
		stored := min(r.samples, batchSize-1)
		return r.took(stored, r.samples-stored), nil
	}},
}

// exit is a Writer or an Exporter.
type exit interface {
	gather.Gatherer
	Run(ctx context.Context, g gather.Gatherer) error
}

// pass lets time pass, and then all goroutines do what is due.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// view is what is sent: all series have the number of times that it was gathered.
type view struct {
	series int
	rounds atomic.Int64
}

func (v *view) n() int { return int(v.rounds.Load()) }

func (v *view) Gather(context.Context) ([]*metric.Family, error) {
	n := float64(v.rounds.Add(1))
	f := &metric.Family{Name: "n", Type: metric.Counter}
	for i := range v.series {
		f.Series = append(f.Series, metric.Series{Labels: metric.MakeLabels("s", fmt.Sprintf("%05d", i)), Value: n})
	}
	return []*metric.Family{f}, nil
}

// start runs an exit until stop is called, which returns how long it took.
func start(t *testing.T, r *receiver, v *view, o delivery.Options) (e exit, stop func() time.Duration) {
	t.Helper()
	o.URL, o.Client = "http://receiver/write", &http.Client{Transport: r}
	o.Interval, o.MaxBackoff = interval, longest
	if o.MaxSamples == 0 {
		o.MaxSamples = batchSize
	}
	var err error
	if r.protocol == "otlp" {
		e, err = otlp.New(otlp.Options{Options: o})
	} else {
		e, err = remotewrite.New(remotewrite.Options{Options: o, Protocol: r.protocol})
	}
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx, v) }()
	return e, func() time.Duration {
		began := time.Now()
		cancel()
		require.NoError(t, <-ended)
		return time.Since(began)
	}
}

// own returns the exit's own metrics: dropped samples by reason, others by name.
func own(t *testing.T, e exit) map[string]float64 {
	t.Helper()
	families, err := e.Gather(t.Context())
	require.NoError(t, err)
	out := map[string]float64{}
	for _, f := range families {
		for _, s := range f.Series {
			if reason, ok := s.Labels.Map()["reason"]; ok {
				out["dropped"] += s.Value
				out["dropped "+reason] = s.Value
			} else {
				out[f.Name[len("multiprom_exit_"):]] = s.Value
			}
		}
	}
	return out
}

// values returns the values that were stored of a series, and how many markers that it ended.
func (r *receiver) values(series int) (values []int, ended int) {
	for _, s := range r.stored[fmt.Sprintf("%05d", series)] {
		if s.ended {
			ended++
		} else {
			values = append(values, int(s.value))
		}
	}
	return values, ended
}

var protocols = []string{"2.0", "1.0", "otlp"}

// eachRetried runs a test for each protocol and each failure after which that sends again.
func eachRetried(t *testing.T, test func(t *testing.T, protocol string, f *failure)) {
	for _, protocol := range protocols {
		for _, f := range failures {
			if f.isRetried(protocol) {
				t.Run(protocol+"/"+f.name, func(t *testing.T) {
					t.Parallel()
					test(t, protocol, f)
				})
			}
		}
	}
}

// TestFailingReceiver: a receiver works, fails in one of many ways, and works again; the time is
// that of a bubble, so each delay is known.
func TestFailingReceiver(t *testing.T) {
	for _, protocol := range protocols {
		for _, f := range failures {
			for _, queue := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%s/queue=%t", protocol, f.name, queue), func(t *testing.T) {
					t.Parallel()
					dir := ""
					if queue {
						dir = t.TempDir()
					}
					synctest.Test(t, func(t *testing.T) { failsAndWorks(t, protocol, *f, dir) })
				})
			}
		}
	}
}

func failsAndWorks(t *testing.T, protocol string, f failure, queueDir string) {
	retried := f.isRetried(protocol)
	r, v := newReceiver(t, protocol, nil), &view{series: seriesCount}
	e, stop := start(t, r, v, delivery.Options{QueueDir: queueDir})
	pass(2*interval + time.Second) // three rounds
	require.Equal(t, 3.0*seriesCount, own(t, e)["sent_samples"])

	r.failing.Store(&f)
	down := time.Now()
	pass(20*interval + time.Second)
	bad := own(t, e)
	asked := r.asked
	if retried {
		fewRequests(t, down, asked, f.silence)
		require.Equal(t, 3.0*seriesCount, bad["sent_samples"])
		require.Zero(t, bad["dropped refused"])
		require.Positive(t, bad["retries"])
	} else {
		require.Equal(t, 3*20, r.batches, "each request once")
		require.Zero(t, bad["retries"])
		require.Equal(t, bad["dropped"], bad["dropped refused"])
	}
	require.LessOrEqual(t, r.read, (len(asked)+9)*(8<<10), "of an answer, little is read")

	r.failing.Store(nil)
	pass(f.silence + longest + interval + interval/2)
	end := stop()
	require.Zero(t, end, "all is sent, so it ends at once")
	good := own(t, e)
	all := float64((v.n() + 1) * seriesCount) // with the markers
	require.Equal(t, all, good["sent_samples"]+good["dropped"], "each sample is counted once")
	require.Equal(t, float64(time.Now().UnixMilli())/1000, good["last_success_timestamp_seconds"])
	if queueDir != "" {
		require.Zero(t, good["queue_rounds"]+good["queue_bytes"]+good["queue_oldest_age_seconds"])
	}
	lost := 0
	for i := range seriesCount {
		values, ended := r.values(i)
		require.Equal(t, v.n(), values[len(values)-1], "the newest value")
		require.Equal(t, 1, ended)
		lost += v.n() - len(values)
		require.True(t, slices.IsSorted(values))
	}
	switch {
	case retried && queueDir != "":
		require.Zero(t, lost, "every round, in order")
		require.Zero(t, good["dropped"])
	case retried && f.stores == 0:
		require.Equal(t, float64(lost), good["dropped superseded"])
		require.Equal(t, float64(lost), good["dropped"])
	case retried: // it stores what it does not confirm
		require.Equal(t, good["dropped superseded"], good["dropped"])
	case f.stores > 0 && protocol == "1.0": // which has no words for it
		require.Zero(t, good["dropped"])
	default:
		require.Equal(t, float64(r.rejected), good["dropped refused"])
		require.Equal(t, float64(r.rejected), good["dropped"])
		require.Equal(t, r.rejected, lost)
	}
}

// fewRequests: the delays between the requests of a receiver that fails grow to MaxBackoff, also
// from one round to the next, and are never shorter than it has asked for.
func fewRequests(t *testing.T, down time.Time, asked []time.Time, silence time.Duration) {
	t.Helper()
	require.NotEmpty(t, asked)
	const hangs = 30 * time.Second // Timeout
	delay := longest / 100
	for i := 1; i < len(asked); i++ {
		between := asked[i].Sub(asked[i-1])
		require.GreaterOrEqual(t, between, max(delay/2, silence), "delay %d of %v", i, asked)
		require.LessOrEqual(t, between, max(delay, silence)+hangs+time.Second)
		delay = min(2*delay, longest)
	}
	require.Less(t, len(asked), 8+int(time.Since(down)/(longest/2)))
}

// TestHourDown: a receiver that is down for an hour sees few requests, and costs no memory. When
// the process ends, it sees one more, unless it has asked for silence, and the end is prompt.
func TestHourDown(t *testing.T) {
	eachRetried(t, func(t *testing.T, protocol string, f *failure) {
		synctest.Test(t, func(t *testing.T) {
			r, v := newReceiver(t, protocol, nil), &view{series: seriesCount}
			_, stop := start(t, r, v, delivery.Options{})
			pass(interval / 2)
			r.failing.Store(f)
			down := time.Now()
			pass(time.Hour)
			fewRequests(t, down, r.asked, f.silence)
			require.Less(t, len(r.asked), 250)
			if f.silence > time.Minute {
				require.LessOrEqual(t, len(r.asked), 2+int(time.Hour/f.silence))
			}
			before := len(r.asked)
			require.LessOrEqual(t, stop(), stopTime)
			after := r.asked[before:]
			if f.silence <= longest {
				require.Len(t, after, 1)
			} else if len(after) > 0 {
				require.Len(t, after, 1)
				require.GreaterOrEqual(t, after[0].Sub(r.asked[before-1]), f.silence)
			}
		})
	})
}

// TestStopWithQueue: a process that ends while the receiver is down leaves its rounds in the queue, and
// the next one sends them first.
func TestStopWithQueue(t *testing.T) {
	eachRetried(t, func(t *testing.T, protocol string, f *failure) {
		dir := t.TempDir()
		synctest.Test(t, func(t *testing.T) {
			r, v := newReceiver(t, protocol, f), &view{series: seriesCount}
			e, stop := start(t, r, v, delivery.Options{QueueDir: dir})
			pass(10 * interval)
			before := len(r.asked)
			require.LessOrEqual(t, stop(), stopTime)
			require.LessOrEqual(t, len(r.asked), before+1)
			require.Equal(t, float64(v.n()+1), own(t, e)["queue_rounds"], "with the markers")
			require.Zero(t, own(t, e)["dropped"])

			r.failing.Store(nil)
			_, stop = start(t, r, v, delivery.Options{QueueDir: dir})
			pass(2 * interval)
			require.Zero(t, stop())
			for i := range seriesCount {
				values, ended := r.values(i)
				require.Len(t, values, v.n())
				require.Equal(t, 2, ended)
			}
		})
	})
}

// TestQueueAge: what has become too old is dropped and counted, also by the next process.
func TestQueueAge(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r, v := newReceiver(t, "2.0", failures[0]), &view{series: seriesCount}
		o := delivery.Options{QueueDir: dir, QueueAge: 10 * interval}
		e, stop := start(t, r, v, o)
		pass(30*interval + time.Second)
		state := own(t, e)
		require.LessOrEqual(t, state["queue_oldest_age_seconds"], (11 * interval).Seconds())
		require.LessOrEqual(t, state["queue_rounds"], 12.0)
		require.Equal(t, float64(v.n()*seriesCount), state["dropped queue_age"]+seriesCount*state["queue_rounds"])
		require.Less(t, len(r.asked), 60, "a round that is given up does not begin the delays again")

		r.failing.Store(nil)
		pass(longest)
		state = own(t, e)
		require.Equal(t, float64(v.n()*seriesCount), state["sent_samples"]+state["dropped queue_age"])
		values, _ := r.values(0)
		require.Equal(t, v.n(), values[len(values)-1])

		r.failing.Store(failures[0])
		pass(5 * interval)
		tooOld := v.n()
		stop()
		pass(time.Hour)
		r.failing.Store(nil)
		e, stop = start(t, r, v, o)
		pass(interval / 2)
		state = own(t, e)
		require.Positive(t, state["dropped queue_age"])
		require.Equal(t, float64(seriesCount), state["sent_samples"], "only the new round")
		stop()
		values, _ = r.values(0)
		require.NotContains(t, values, tooOld)
		require.Equal(t, v.n(), values[len(values)-1])
	})
}

// TestMemoryWhileDown: rounds that cannot be sent cost no memory, however many they are.
func TestMemoryWhileDown(t *testing.T) {
	const series, most = 2000, 1 << 19 // a round has 20 kB, 60 rounds have 1.2 MB
	heap := func() int {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC() // what pools had
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	for _, queue := range []bool{false, true} {
		dir := ""
		if queue {
			dir = t.TempDir()
		}
		synctest.Test(t, func(t *testing.T) {
			r, v := newReceiver(t, "2.0", failures[0]), &view{series: series}
			e, stop := start(t, r, v, delivery.Options{QueueDir: dir, MaxSamples: 1000})
			pass(10*interval + interval/2) // between two rounds
			before := heap()
			pass(60 * interval)
			require.Less(t, heap()-before, most, "queue: %t", queue)
			if queue {
				require.Equal(t, float64(v.n()), own(t, e)["queue_rounds"])
				require.Greater(t, own(t, e)["queue_bytes"], 2.0*most, "the rounds are larger than what memory may be")
			}
			stop()
		})
	}
}
