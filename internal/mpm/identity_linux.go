package mpm

import (
	"bytes"
	"encoding/hex"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// CurrentIdentity reads from /proc who this process is. What it cannot find out stays zero.
func CurrentIdentity() Identity {
	id := Identity{PID: os.Getpid(), BootID: currentBootID()}
	_, id.StartTime, _ = processStat("self") // /proc may be that of another PID namespace
	if info, err := os.Stat("/proc/self/ns/pid"); err == nil {
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			id.PIDNamespace = st.Ino
		}
	}
	return id
}

// processStat returns fields 3 and 22 of /proc/<name>/stat, see proc(5): the state of the process,
// and when it started, in clock ticks since boot.
func processStat(name string) (state byte, ticks uint64, ok bool) {
	b, err := os.ReadFile("/proc/" + name + "/stat")
	if err != nil {
		return 0, 0, false
	}
	// The command name is in parentheses and may contain any byte. The fields after the last
	// parenthesis contain none.
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(fields) < 20 {
		return 0, 0, false
	}
	ticks, err = strconv.ParseUint(fields[19], 10, 64)
	return fields[0][0], ticks, err == nil
}

func currentBootID() (id [16]byte) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return id
	}
	raw, err := hex.DecodeString(strings.ReplaceAll(strings.TrimSpace(string(b)), "-", ""))
	if err == nil {
		copy(id[:], raw)
	}
	return id
}

// bootTime returns the clock that runs since boot, also while the machine sleeps.
func bootTime() (nanos int64, ok bool) {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return 0, false
	}
	return t.Nano(), true
}
