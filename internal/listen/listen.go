package listen

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
)

// ErrScheme says that nothing listens by the address's scheme.
var ErrScheme = errors.New("unknown scheme")

// Open listens at "tcp://127.0.0.1:8080" (also tcp4, tcp6), "unix:///run/app.sock" or
// "unix://@abstract"; without a scheme the address is of tcp. A socket that a killed
// process has left in the filesystem is replaced.
func Open(address string) (net.Listener, error) {
	network, rest, ok := strings.Cut(address, "://")
	if !ok {
		network, rest = "tcp", address
	}
	switch network {
	case "tcp", "tcp4", "tcp6", "unix":
	default:
		return nil, fmt.Errorf("%w: %q", ErrScheme, network)
	}
	if network == "unix" {
		removeStale(rest)
	}
	return net.Listen(network, rest)
}

// removeStale removes a unix socket that a killed process left behind: one
// that nobody listens on. Anything else stays and makes listening fail.
func removeStale(path string) {
	if fi, err := os.Lstat(path); err != nil || fi.Mode().Type() != fs.ModeSocket {
		return
	}
	conn, err := net.Dial("unix", path)
	if err == nil {
		conn.Close()
		return
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		os.Remove(path)
	}
}

// URL returns where this machine finds metrics on a listener: one on all interfaces
// is reached at localhost.
func URL(a net.Addr, scheme, path string) string {
	switch a := a.(type) {
	case *net.TCPAddr:
		host := a.String()
		if a.IP.IsUnspecified() {
			host = fmt.Sprintf("localhost:%d", a.Port)
		}
		return scheme + "://" + host + path
	case *net.UnixAddr:
		return "unix://" + a.Name // curl --unix-socket
	}
	return a.String()
}

// IsPublic reports whether a listener is on all interfaces.
func IsPublic(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return ok && tcp.IP.IsUnspecified()
}
