package record

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/internal/mpm"
	"github.com/multiprom/multiprom/metric"
)

// envKilled has the directory of a process that counts and records until it is killed.
const envKilled = "MULTIPROM_TEST_RECORD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(envKilled); dir != "" {
		if err := countAndRecord(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// countAndRecord says the time of each tick once it is written.
func countAndRecord(dir string) error {
	s, err := mpm.Create(dir, mpm.Options{Label: strconv.Itoa(os.Getpid())})
	if err != nil {
		return err
	}
	var all []*mpm.Series
	f, err := s.AddSchema(&metric.Schema{Name: "jobs", Help: "H.", Type: metric.Counter, Labels: []string{"n"}})
	if err != nil {
		return err
	}
	for i := range 300 {
		one, err := s.AddSeries(f, []string{strconv.Itoa(i)}, nil)
		if err != nil {
			return err
		}
		all = append(all, one)
	}
	a, err := aggregate.Open(dir, aggregate.Options{})
	if err != nil {
		return err
	}
	now := time.Now()
	r, err := Open(DirOf(dir), a, Options{Keep: 30 * time.Second, Now: func() time.Time { return now }})
	if err != nil {
		return err
	}
	for {
		for range 20 {
			all[rand.IntN(len(all))].Words()[mpm.CellCounterInts] += rand.Uint64N(1000)
		}
		now = now.Add(time.Second) // it lives fast
		if err := r.Tick(context.Background()); err != nil {
			return err
		}
		fmt.Println(now.UnixMilli())
	}
}

// TestKilled kills a recorder at random moments, also while it writes blocks and changes files.
// What it said is written can be read, and so can what was there before.
func TestKilled(t *testing.T) {
	rounds := 10
	if n, err := strconv.Atoi(os.Getenv("MULTIPROM_SCHEDULES")); err == nil {
		rounds = n
	}
	self, err := os.Executable()
	require.NoError(t, err)
	dir := filepath.Join(t.TempDir(), "d")
	require.NoError(t, os.Mkdir(dir, 0o700))
	for round := range rounds {
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), envKilled+"="+dir)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		lines := bufio.NewScanner(out)
		ticks := 1 + rand.IntN(70)
		for range ticks {
			require.True(t, lines.Scan(), "the recorder ended")
		}
		require.NoError(t, cmd.Process.Kill())
		last := lines.Text()
		for lines.Scan() { // what it said before it was killed
			last = lines.Text()
		}
		require.Error(t, cmd.Wait())
		said, err := strconv.ParseInt(last, 10, 64)
		require.NoError(t, err)
		seen := 0
		var newest int64
		require.NoError(t, Read(DirOf(dir), func(s *State) bool {
			seen++
			newest = s.Time.UnixMilli()
			require.NotEmpty(t, s.Series())
			return true
		}))
		require.GreaterOrEqual(t, newest, said, "round %d: a second that was written is missing", round)
		require.GreaterOrEqual(t, seen, min(ticks, 30))
	}
}
