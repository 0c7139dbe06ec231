package integration

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/multiprom/multiprom/aggregate"
	"github.com/multiprom/multiprom/exposition"
)

// pythonDir fills a directory with what 64 workers of client_python write, in
// the form that Debian's version reads too: 10,000 counter records each.
func pythonDir(b *testing.B) string {
	dir := b.TempDir()
	var file []byte
	for n := range 10_000 {
		key := fmt.Sprintf(`["requests", "requests_total", {"path": "/some/path/%d", "code": "200"}, "Requests served."]`, n)
		file = binary.NativeEndian.AppendUint32(file, uint32(len(key)))
		file = append(file, key...)
		file = append(file, strings.Repeat(" ", 8-(len(key)+4)%8)...)
		file = binary.NativeEndian.AppendUint64(file, math.Float64bits(float64(n)))
	}
	header := binary.NativeEndian.AppendUint32(nil, uint32(8+len(file)))
	file = append(append(header, 0, 0, 0, 0), file...)
	for worker := range 64 {
		require.NoError(b, os.WriteFile(filepath.Join(dir, fmt.Sprintf("counter_%d.db", worker)), file, 0o600))
	}
	return dir
}

// BenchmarkClientPython scrapes one directory as text: ours when it is new and
// when it is known, and client_python's collector, with the start of Python.
func BenchmarkClientPython(b *testing.B) {
	dir := pythonDir(b)
	scrape := func(b *testing.B, a *aggregate.Aggregator, buf []byte) []byte {
		families, err := a.Gather(b.Context())
		require.NoError(b, err)
		buf, err = exposition.Append(buf[:0], families, exposition.Options{})
		require.NoError(b, err)
		require.Greater(b, len(buf), 500_000)
		return buf
	}
	b.Run("cold", func(b *testing.B) {
		for b.Loop() {
			a, err := aggregate.Open(dir, aggregate.Options{})
			require.NoError(b, err)
			scrape(b, a, nil)
			require.NoError(b, a.Close())
		}
	})
	b.Run("warm", func(b *testing.B) {
		a, err := aggregate.Open(dir, aggregate.Options{})
		require.NoError(b, err)
		defer a.Close()
		buf := scrape(b, a, nil)
		for b.Loop() {
			buf = scrape(b, a, buf)
		}
	})
	b.Run("client_python", func(b *testing.B) {
		for b.Loop() {
			cmd := exec.Command("/usr/bin/python3", "testdata/python/collect.py")
			cmd.Env = append(os.Environ(), "PROMETHEUS_MULTIPROC_DIR="+dir)
			out, err := cmd.Output()
			if err != nil {
				b.Skip("Debian's python3-prometheus-client is not installed: ", err)
			}
			require.Greater(b, len(out), 500_000)
		}
	})
}
