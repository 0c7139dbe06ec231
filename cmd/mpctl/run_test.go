//go:build unix

package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestRunProcessID: `mpctl run` tells its workers their process ID.
func TestRunProcessID(t *testing.T) {
	for flag, want := range map[string]string{"slot": "0", "pid": ""} {
		t.Run(flag, func(t *testing.T) {
			t.Setenv(envDir, "") // the supervisor sets it
			dir := t.TempDir()
			told := filepath.Join(dir, "told")
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var out safeBuffer
			ended := make(chan int, 1)
			go func() {
				ended <- run(ctx, []string{
					"run", "-n", "1", "--process-id", flag, "--dir", filepath.Join(dir, "d"), "--", "sh", "-c",
					`echo "$MULTIPROM_PROCESS_ID" >"$0.new" && mv "$0.new" "$0"; exec sleep 600`, told,
				}, &out, &out)
			}()
			require.Eventually(t, func() bool {
				b, err := os.ReadFile(told)
				return err == nil && string(b) == want+"\n"
			}, time.Minute, 10*time.Millisecond)
			cancel()
			require.Equal(t, exitOK, <-ended, out.String())
		})
	}
}
