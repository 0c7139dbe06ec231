package machine

import (
	"crypto/sha256"
	"fmt"
	"os"
)

// ID returns a UUID that is the same for the same parts on the same machine. It uses the
// machine's own ID if there is one.
func ID(parts ...string) string {
	h := sha256.New()
	if id, err := os.ReadFile("/etc/machine-id"); err == nil {
		parts = append(parts, string(id))
	}
	for _, p := range parts {
		fmt.Fprintf(h, "%d %s", len(p), p)
	}
	b := h.Sum(nil)[:16]
	b[6] = b[6]&0x0f | 0x80 // version 8 of RFC 9562: made in its own way
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
