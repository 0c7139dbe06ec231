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

// nobody is the owner of a file whose owner has no number here: never one who
// is trusted, and to chown(2) "leave it as it is".
const nobody = -1

// ownerUID returns whose file it is, or nobody. In a user namespace the kernel
// shows one number, the overflow uid, for all users outside of it. That number
// says nothing of a file, unless the kernel treats this process as its owner.
func ownerUID(f *os.File, info os.FileInfo) int {
	uid := int(info.Sys().(*syscall.Stat_t).Uid)
	if uid == overflowUID() && !mapsEverybody("/proc/self/uid_map") && !ownedByUs(f) {
		return nobody
	}
	return uid
}

// ownerGID is ownerUID for the group, which nothing proves.
func ownerGID(info os.FileInfo) int {
	gid := int(info.Sys().(*syscall.Stat_t).Gid)
	if gid == overflowGID() && !mapsEverybody("/proc/self/gid_map") {
		return nobody
	}
	return gid
}

// The numbers that stand for users and groups who have none.
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

// mapsEverybody reports whether a map of ids (user_namespaces(7)) has all that
// there are, as the first namespace's has: then nobody's number is hidden. It is read
// each time, since a namespace may get its map after this process has started.
func mapsEverybody(idMap string) bool {
	f, err := os.Open(idMap)
	if err != nil {
		return false // nothing is known
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
	return total == 1<<32-1 // the last number is no id
}

// ownedByUs reports whether the kernel lets this process do to the file what only
// its owner may, or somebody with power over an owner that has a number here.
func ownedByUs(f *os.File) bool {
	flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFL, 0)
	if err != nil {
		return false
	}
	_, err = unix.FcntlInt(f.Fd(), unix.F_SETFL, flags|unix.O_NOATIME)
	return err == nil
}

// giveToOwner gives a file that root made to the directory's owner.
func (d *Dir) giveToOwner(f *os.File, info os.FileInfo) error {
	uid := d.owner(info)
	if os.Geteuid() != 0 || uid == 0 || uid == nobody {
		return nil
	}
	return f.Chown(uid, ownerGID(info))
}
