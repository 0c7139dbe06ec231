package pyfile

import (
	"bufio"
	"bytes"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"syscall"
)

// Mappings are the .db files that processes have mapped to write them.
type Mappings map[mapping]bool

// mapping is a file by inode and name: the device that /proc tells is not that
// of stat(2) on every filesystem.
type mapping struct {
	inode uint64
	name  string
}

// Mapped asks /proc which .db files are mapped by any process that this one
// can see, but for those that only read them. A process of another user, or in another PID namespace, may be
// invisible: that a file is not there does not prove that nobody writes it.
func Mapped() (Mappings, error) {
	files, err := filepath.Glob("/proc/[0-9]*/maps")
	if err != nil {
		return nil, err
	}
	out := Mappings{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			continue // it has ended, or is somebody else's
		}
		out.add(b)
	}
	return out, nil
}

// add reads one process's maps, see proc(5): address, permissions, offset,
// device, inode, path.
func (m Mappings) add(maps []byte) {
	lines := bufio.NewScanner(bytes.NewReader(maps))
	for lines.Scan() {
		line := bytes.TrimSuffix(lines.Bytes(), []byte(" (deleted)"))
		fields := bytes.Fields(line)
		if len(fields) < 6 || !bytes.HasSuffix(line, []byte(".db")) || !bytes.HasPrefix(fields[1], []byte("rw")) {
			continue
		}
		if inode, err := strconv.ParseUint(string(fields[4]), 10, 64); err == nil {
			m[mapping{inode, path.Base(string(line))}] = true
		}
	}
}

// Has reports whether a process may write the file.
func (m Mappings) Has(name string, info os.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && m[mapping{st.Ino, filepath.Base(name)}]
}
