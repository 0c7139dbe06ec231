package supervisor

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/multiprom/multiprom/internal/listen"
)

// Listener is a socket that all workers share. Exactly one of Address,
// Listener and File is set.
type Listener struct {
	// Name is the socket's entry in LISTEN_FDNAMES: at most 255 printable ASCII
	// characters, without colons. Default "listener" and its index.
	Name string
	// Address is opened by New: "tcp://127.0.0.1:8080" (also tcp4, tcp6),
	// "unix:///run/app.sock" or "unix://@abstract". Without a scheme it is tcp.
	// Default: Listener or File is the socket.
	Address string
	// Listener is duplicated by New. The caller still owns it, must not accept from it,
	// and should close it after New. It must have a descriptor, like *net.TCPListener
	// and *net.UnixListener.
	Listener net.Listener
	// File is a listening stream socket. New duplicates it like Listener.
	File *os.File
}

// socket is the supervisor's one descriptor of a shared listener.
type socket struct {
	name  string
	addr  net.Addr
	fd    int
	path  string // of a Unix socket that we created
	inode fs.FileInfo
}

// openSocket opens or duplicates l. It keeps raw descriptors: os.File.Fd may make a
// description blocking, and all workers share that.
func openSocket(l Listener, index int, blocking bool) (*socket, error) {
	s := &socket{name: l.Name}
	if s.name == "" {
		s.name = "listener" + strconv.Itoa(index)
	}
	// The same limits as systemd's. Two sockets may have one name.
	if len(s.name) > 255 || strings.ContainsFunc(s.name, func(r rune) bool { return r < ' ' || r > '~' || r == ':' }) {
		return nil, fmt.Errorf("%w: Name %q: at most 255 characters of printable ASCII without colons", errOptions, l.Name)
	}
	var conn syscall.Conn
	switch {
	case l.Address != "" && l.Listener == nil && l.File == nil:
		ln, err := openAddress(l.Address)
		if err != nil {
			return nil, err
		}
		defer ln.Close()
		if u, ok := ln.(*net.UnixListener); ok {
			u.SetUnlinkOnClose(false)
			if path := u.Addr().String(); !strings.HasPrefix(path, "@") {
				s.path = path
				s.inode, _ = os.Lstat(path)
			}
		}
		conn, s.addr = ln.(syscall.Conn), ln.Addr()
	case l.Listener != nil && l.Address == "" && l.File == nil:
		var ok bool
		if conn, ok = l.Listener.(syscall.Conn); !ok {
			return nil, fmt.Errorf("%w: Listener %s: %T has no descriptor", errOptions, s.name, l.Listener)
		}
		s.addr = l.Listener.Addr()
	case l.File != nil && l.Address == "" && l.Listener == nil:
		ln, err := net.FileListener(l.File)
		if err != nil {
			return nil, fmt.Errorf("listener %s: File: %w", s.name, err)
		}
		defer ln.Close()
		if u, ok := ln.(*net.UnixListener); ok {
			u.SetUnlinkOnClose(false)
		}
		conn, s.addr = ln.(syscall.Conn), ln.Addr()
	default:
		return nil, fmt.Errorf("%w: listener %s needs one of Address, Listener and File", errOptions, s.name)
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("listener %s: %w", s.name, err)
	}
	var dupErr error
	if err := raw.Control(func(fd uintptr) { s.fd, dupErr = dupSocket(int(fd), blocking) }); err != nil {
		return nil, fmt.Errorf("listener %s: %w", s.name, err)
	}
	if dupErr != nil {
		return nil, fmt.Errorf("listener %s: %w", s.name, dupErr)
	}
	return s, nil
}

// close closes the supervisor's copy. The socket lives on in its workers.
func (s *socket) close() {
	closeFD(s.fd)
	if s.inode == nil {
		return
	}
	// Another supervisor may have put its own socket there in the meantime.
	if now, err := os.Lstat(s.path); err == nil && os.SameFile(now, s.inode) {
		os.Remove(s.path)
	}
}

// openAddress listens on an address in Listener's syntax.
func openAddress(address string) (net.Listener, error) {
	ln, err := listen.Open(address)
	if errors.Is(err, listen.ErrScheme) {
		return nil, fmt.Errorf("%w: Address %q: %w", errOptions, address, err)
	}
	if err != nil {
		return nil, fmt.Errorf("option Address %q: %w", address, err)
	}
	return ln, nil
}
