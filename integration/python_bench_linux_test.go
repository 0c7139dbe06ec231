package integration

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/exposition"
)

// pythonDir fills a directory with the files of 64 workers of client_python: 10,000 counter
// records each, in the same order or each in its own. The form is that of the installed
// version; since 0.18 a time follows each value.
func pythonDir(b *testing.B, shuffled bool) string {
	timed := exec.Command(python, "-c", `from prometheus_client import Gauge; Gauge("g", "g", multiprocess_mode="mostrecent")`).Run() == nil
	dir := b.TempDir()
	records := make([][]byte, 10_000)
	for n := range records {
		key := fmt.Sprintf(`["requests", "requests_total", {"path": "/some/path/%d", "code": "200"}, "Requests served."]`, n)
		record := binary.NativeEndian.AppendUint32(nil, uint32(len(key)))
		record = append(record, key...)
		record = append(record, strings.Repeat(" ", 8-(len(key)+4)%8)...)
		record = binary.NativeEndian.AppendUint64(record, math.Float64bits(float64(n)))
		if timed {
			record = append(record, make([]byte, 8)...)
		}
		records[n] = record
	}
	random := rand.New(rand.NewPCG(1, 2))
	for worker := range 64 {
		if shuffled {
			random.Shuffle(len(records), func(i, j int) { records[i], records[j] = records[j], records[i] })
		}
		all := slices.Concat(records...)
		file := append(binary.NativeEndian.AppendUint32(nil, uint32(8+len(all))), 0, 0, 0, 0)
		require.NoError(b, os.WriteFile(filepath.Join(dir, fmt.Sprintf("counter_%d.db", worker)), append(file, all...), 0o600))
	}
	return dir
}

// BenchmarkClientPython scrapes one directory as text: with multiprom, cold and warm, and
// with client_python's collector including the start of Python.
func BenchmarkClientPython(b *testing.B) {
	needPython(b)
	fmt.Println(clientPython(b))
	for _, order := range []string{"same-order", "shuffled"} {
		dir := pythonDir(b, order == "shuffled")
		b.Run(order+"/cold", func(b *testing.B) {
			for b.Loop() {
				a, err := aggregate.Open(dir, aggregate.Options{})
				require.NoError(b, err)
				scrapeText(b, a, nil, 500_000)
				require.NoError(b, a.Close())
			}
		})
		b.Run(order+"/warm", func(b *testing.B) {
			a, err := aggregate.Open(dir, aggregate.Options{})
			require.NoError(b, err)
			defer a.Close()
			buf := scrapeText(b, a, nil, 500_000)
			for b.Loop() {
				buf = scrapeText(b, a, buf, 500_000)
			}
		})
		b.Run(order+"/serve", func(b *testing.B) { // over HTTP, with peak memory
			address := freeAddress(b)
			serve := exec.Command(mpctl(b), "serve", "--dir", dir, "--web.listen-address", address)
			require.NoError(b, serve.Start())
			scrape := request(b, "http://"+address+"/metrics")
			for b.Loop() {
				_, text := get(b, scrape)
				require.Greater(b, len(text), 500_000)
			}
			status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", serve.Process.Pid))
			require.NoError(b, err)
			b.ReportMetric(peakMB(b, status), "peak-MB")
			require.NoError(b, serve.Process.Signal(syscall.SIGTERM))
			require.NoError(b, serve.Wait())
		})
		b.Run(order+"/client_python", func(b *testing.B) {
			peak := 0.0
			for b.Loop() {
				var status bytes.Buffer
				cmd := exec.Command(python, "testdata/python/collect.py", "--status")
				cmd.Stderr = &status
				cmd.Env = append(os.Environ(), "PROMETHEUS_MULTIPROC_DIR="+dir)
				out, err := cmd.Output()
				if err != nil {
					b.Skip("Debian's python3-prometheus-client is not installed: ", err)
				}
				require.Greater(b, len(out), 500_000)
				peak = max(peak, peakMB(b, status.Bytes()))
			}
			b.ReportMetric(peak, "peak-MB")
		})
	}
}

func scrapeText(b *testing.B, a *aggregate.Aggregator, buf []byte, least int) []byte {
	families, err := a.Gather(b.Context())
	require.NoError(b, err)
	buf, err = exposition.Append(buf[:0], families, exposition.Options{})
	require.NoError(b, err)
	require.Greater(b, len(buf), least)
	return buf
}

// peakMB returns the peak memory of a process from its status in /proc, including mapped
// files.
func peakMB(b *testing.B, status []byte) float64 {
	_, peak, _ := bytes.Cut(status, []byte("VmHWM:"))
	var kB float64
	_, err := fmt.Sscan(string(peak), &kB)
	require.NoError(b, err)
	return kB / 1024
}
