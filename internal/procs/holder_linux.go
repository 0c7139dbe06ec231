package procs

import (
	"bufio"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/prometheus/procfs"
)

// FindWorker returns the process with that pid in the collector's own PID namespace, if it
// has one of the files open or mapped for writing. It is for processes that record only their
// pid, such as those of client_python. If another process has got the pid since, it has none
// of the files, or only reads them, as the collector's own process does. FindWorker also
// returns false if the system does not say, because the process is another user's.
func FindWorker(pid int, label string, files ...string) (Worker, bool) {
	return findWorker(procPath(""), pid, label, files)
}

func findWorker(path string, pid int, label string, files []string) (Worker, bool) {
	proc, err := procfs.NewFS(path)
	if err != nil || pid <= 0 {
		return Worker{}, false
	}
	namespace, err := ownPIDNamespace(path)
	if err != nil {
		return Worker{}, false
	}
	p, err := proc.Proc(pid)
	if err != nil {
		return Worker{}, false
	}
	// The start time comes first. If another process gets the pid meanwhile, the start time
	// is not its own, and the collector leaves it out.
	stat, err := p.Stat()
	if err != nil {
		return Worker{}, false
	}
	held := heldFiles(files)
	dir := filepath.Join(path, strconv.Itoa(pid))
	if !held.open(filepath.Join(dir, "fd")) && !held.mapped(filepath.Join(dir, "maps")) {
		return Worker{}, false
	}
	return Worker{PID: pid, StartTime: stat.Starttime, PIDNamespace: namespace, Label: label}, true
}

// held are files by their names without directory, which a process may see under
// another path.
type held map[string]fs.FileInfo

func heldFiles(files []string) held {
	out := held{}
	for _, f := range files {
		if info, err := os.Stat(f); err == nil {
			out[filepath.Base(f)] = info
		}
	}
	return out
}

// open reports whether one of the files is among a process's descriptors for writing,
// those in the directory fd of its proc.
func (h held) open(dir string) bool {
	d, err := os.Open(dir)
	if err != nil {
		return false
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(names, func(name string) bool {
		link := filepath.Join(dir, name)
		target, err := os.Readlink(link)
		if err != nil {
			return false
		}
		want, ok := h[filepath.Base(target)]
		if !ok {
			return false
		}
		how, err := os.Lstat(link)
		if err != nil || how.Mode()&0o200 == 0 {
			return false // for reading
		}
		info, err := os.Stat(link) // of what is open, whatever its path is now
		return err == nil && os.SameFile(info, want)
	})
}

// mapped reports whether one of the files is in a process's maps, for writing.
func (h held) mapped(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line := lines.Text() // range, mode, offset, device, inode, path
		want, ok := h[line[strings.LastIndexByte(line, '/')+1:]]
		fields := strings.Fields(line)
		if !ok || len(fields) < 6 || !strings.HasPrefix(fields[1], "rw-s") {
			continue
		}
		// The device is not compared: on btrfs and overlay it is another one here.
		stat, ok := want.Sys().(*syscall.Stat_t)
		if ok && fields[4] == strconv.FormatUint(stat.Ino, 10) {
			return true
		}
	}
	return false
}
