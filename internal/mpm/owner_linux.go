package mpm

import (
	"bufio"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// nobody is the uid of an owner who has no number in this user namespace. It is never
// trusted, and means "leave it as it is" to chown(2).
const nobody = -1

// ownerUID returns the owner of a file, or nobody. In a user namespace the kernel shows one
// number, the overflow uid, for all users outside of it. That number proves nothing unless
// the kernel treats this process as the file's owner.
func ownerUID(f *os.File, info os.FileInfo) int {
	uid := int(info.Sys().(*syscall.Stat_t).Uid)
	if uid == overflowUID() && !mapsEverybody("/proc/self/uid_map") && !ownedByUs(f) {
		return nobody
	}
	return uid
}

// ownerGID is ownerUID for the group. Nothing can prove an overflow gid.
func ownerGID(info os.FileInfo) int {
	gid := int(info.Sys().(*syscall.Stat_t).Gid)
	if gid == overflowGID() && !mapsEverybody("/proc/self/gid_map") {
		return nobody
	}
	return gid
}

// The numbers for users and groups without a number in this namespace.
var (
	overflowUID = sync.OnceValue(func() int { return overflowID("/proc/sys/kernel/overflowuid") })
	overflowGID = sync.OnceValue(func() int { return overflowID("/proc/sys/kernel/overflowgid") })
)

func overflowID(sysctl string) int {
	text, err := os.ReadFile(sysctl)
	if err == nil {
		if id, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil {
			return id
		}
	}
	return 65534 // the kernel's default
}

// mapsEverybody reports whether an ID map (user_namespaces(7)) contains all IDs, like the
// initial namespace's. Then no number is hidden. It reads the map each time, because a
// namespace may get its map after this process has started.
func mapsEverybody(idMap string) bool {
	f, err := os.Open(idMap)
	if err != nil {
		return false // the map is unknown
	}
	defer f.Close()
	total := uint64(0)
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text()) // first inside, first outside, how many
		if len(fields) != 3 {
			return false
		}
		n, err := strconv.ParseUint(fields[2], 10, 32)
		if err != nil {
			return false
		}
		total += n
	}
	return total == 1<<32-1 // the last number is not a valid ID
}

// ownedByUs reports whether the kernel lets this process do what only the file's owner may
// do, or a process with privileges over an owner with a number in this namespace.
func ownedByUs(f *os.File) bool {
	flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFL, 0)
	if err != nil {
		return false
	}
	_, err = unix.FcntlInt(f.Fd(), unix.F_SETFL, flags|unix.O_NOATIME)
	return err == nil
}

// giveToOwner gives a file that root created to the directory's owner.
func (d *Dir) giveToOwner(f *os.File, info os.FileInfo) error {
	uid := d.owner(info)
	if os.Geteuid() != 0 || uid == 0 || uid == nobody {
		return nil
	}
	return f.Chown(uid, ownerGID(info))
}
