package send

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/multiprom/multiprom/bridge/delivery"
	"github.com/multiprom/multiprom/gather"
	"github.com/multiprom/multiprom/internal/views"
	"github.com/multiprom/multiprom/metric"
)

func TestMain(m *testing.M) {
	if url := os.Getenv("SEND_TEST_URL"); url != "" {
		sendUntilKilled(url, os.Getenv("SEND_TEST_DIR"))
		return
	}
	os.Exit(m.Run())
}

// plainEncoder sends the value of the only series as text, in two batches.
type plainEncoder struct{ round *Round }

func (e *plainEncoder) Begin(r *Round) { e.round = r }

func (*plainEncoder) Names(family string, _ metric.Type) []string { return []string{family} }

func (e *plainEncoder) Family(f *views.Family) (left int) {
	text := strconv.FormatFloat(f.Series[0].Value, 'f', -1, 64)
	for _, part := range []string{".0", ".1"} {
		e.round.Add(1, 1, func(dst []byte) []byte { return append(dst, text+part...) })
	}
	return 0
}

func (*plainEncoder) Gone(*Gone) {}

func (*plainEncoder) End() {}

func (*plainEncoder) Header(byte, http.Header) {}

func (*plainEncoder) Judge(_ *Batch, a *Answer) Verdict {
	if a.Code/100 == 2 {
		return Verdict{}
	}
	return Verdict{Outcome: Retry}
}

// sendUntilKilled is the process that is killed. Its values go on where those of the process
// before ended.
func sendUntilKilled(url, dir string) {
	first, err := strconv.ParseFloat(os.Getenv("SEND_TEST_FIRST"), 64)
	if err != nil {
		panic(err)
	}
	p, err := New("test", delivery.Options{URL: url, QueueDir: dir, Interval: time.Millisecond, MaxBackoff: time.Millisecond}, &plainEncoder{})
	if err != nil {
		panic(err)
	}
	n := first
	g := gather.Func(func(context.Context) ([]*metric.Family, error) {
		n++
		fmt.Println(n) // so that the test sees that it gets on
		return []*metric.Family{{Name: "n", Type: metric.Gauge, Series: []metric.Series{{Value: n}}}}, nil
	})
	if err := p.Run(context.Background(), g); err != nil {
		panic(err)
	}
}

// TestKilledSender kills senders with a queue at random moments, while the receiver takes,
// refuses or hangs. No round that was written is lost, and none comes before an older one.
// MULTIPROM_SCHEDULES is how many are killed.
func TestKilledSender(t *testing.T) {
	kills := 12
	if n, err := strconv.Atoi(os.Getenv("MULTIPROM_SCHEDULES")); err == nil {
		kills = n
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	var mu sync.Mutex
	var arrived []string
	mood := 0
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err != nil || mood == 0 || mood == 1 && random.IntN(3) == 0:
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			arrived = append(arrived, string(b))
		}
	}))
	t.Cleanup(receiver.Close)
	dir := t.TempDir()
	written := map[string]bool{}
	most := 0.0
	// start returns once the process has gathered so many rounds.
	start := func(rounds int) *exec.Cmd {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "SEND_TEST_URL="+receiver.URL, "SEND_TEST_DIR="+dir, fmt.Sprint("SEND_TEST_FIRST=", most))
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		lines := bufio.NewScanner(out)
		for range rounds {
			require.True(t, lines.Scan())
		}
		go io.Copy(io.Discard, out)
		return cmd
	}
	look := func() {
		db, err := bbolt.Open(dir+"/test.db", 0o600, &bbolt.Options{Timeout: 10 * time.Second})
		require.NoError(t, err)
		defer db.Close()
		require.NoError(t, db.View(func(tx *bbolt.Tx) error {
			for err := range tx.Check() {
				return err
			}
			b := tx.Bucket(roundsBucket)
			if b == nil {
				return nil // it was killed before it had made anything
			}
			return b.ForEach(func(_, v []byte) error {
				var r Round
				if err := r.load(v); err != nil {
					return err
				}
				for _, b := range r.Batches {
					written[string(b.Body)] = true
					n, err := strconv.ParseFloat(string(b.Body[:len(b.Body)-2]), 64)
					if err != nil {
						return err
					}
					most = max(most, n)
				}
				return nil
			})
		}))
		mu.Lock()
		defer mu.Unlock()
		for _, s := range arrived[max(0, len(arrived)-1):] {
			n, err := strconv.ParseFloat(s[:len(s)-2], 64)
			require.NoError(t, err)
			most = max(most, n)
		}
	}
	for range kills {
		mu.Lock()
		mood = random.IntN(3)
		rounds, delay := 1+random.IntN(15), time.Duration(random.IntN(3000))*time.Microsecond
		mu.Unlock()
		cmd := start(rounds)
		time.Sleep(delay) // any step of a round
		require.NoError(t, cmd.Process.Kill())
		cmd.Wait()
		look()
	}
	mu.Lock()
	mood = 2
	mu.Unlock()
	last := start(1)
	seen := map[string]bool{}
	require.Eventually(t, func() bool {
		mu.Lock()
		defer mu.Unlock()
		for _, s := range arrived {
			seen[s] = true
		}
		for s := range written {
			if !seen[s] {
				return false
			}
		}
		return true
	}, time.Minute, 10*time.Millisecond, "each round that was written arrives")
	require.NoError(t, last.Process.Kill())
	last.Wait()
	require.NotEmpty(t, written, "there were rounds in the queue")

	mu.Lock()
	defer mu.Unlock()
	clear(seen)
	before := 0.0
	for _, s := range arrived {
		if seen[s] {
			continue // sent again by the next process
		}
		seen[s] = true
		n, err := strconv.ParseFloat(s, 64)
		require.NoError(t, err)
		require.Greater(t, n, before, "in order")
		before = n
	}
}
