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

// ErrScheme says that the scheme of an address is not supported.
var ErrScheme = errors.New("unknown scheme")

// Open listens on "tcp://127.0.0.1:8080" (also tcp4, tcp6), "unix:///run/app.sock" or
// "unix://@abstract". The default scheme is tcp. Open replaces a socket that a killed
// process has left in the filesystem.
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

// removeStale removes a unix socket that no process listens on, as a killed process
// leaves it. It keeps anything else, and then listening fails.
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

// URL returns a URL of a listener for clients on this machine. If it listens on all
// interfaces, the host is localhost.
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

// IsPublic reports whether a listener listens on all interfaces.
func IsPublic(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return ok && tcp.IP.IsUnspecified()
}
