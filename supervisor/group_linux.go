package supervisor

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"

	"github.com/prometheus/procfs"
)

// groupMembers returns the live processes of a group whose leader is gone. It skips
// zombies: in a container nobody may be there to reap them.
func groupMembers(pgid int) (pids []int, left bool) {
	if syscall.Kill(-pgid, 0) == syscall.ESRCH {
		return nil, false
	}
	procs, err := procfs.AllProcs()
	if err != nil {
		return nil, true // without /proc we know nothing else
	}
	for _, p := range procs {
		if stat, err := p.Stat(); err == nil && stat.PGRP == pgid && !ended(stat) {
			pids = append(pids, p.PID)
		}
	}
	return pids, len(pids) > 0
}

func ended(stat procfs.ProcStat) bool { return stat.State == "Z" || stat.State == "X" }

// processesWith returns the live processes whose environment had this variable when
// they started, as far as this process may see. It misses a program that overwrites its
// environment to show a title.
func processesWith(variable string) (pids []int) {
	procs, err := procfs.AllProcs()
	if err != nil {
		return nil
	}
	for _, p := range procs {
		env, err := os.ReadFile(filepath.Join(procfs.DefaultMountPoint, strconv.Itoa(p.PID), "environ"))
		if err != nil || !slices.ContainsFunc(bytes.Split(env, []byte{0}), func(kv []byte) bool { return string(kv) == variable }) {
			continue
		}
		if stat, err := p.Stat(); err == nil && !ended(stat) {
			pids = append(pids, p.PID)
		}
	}
	slices.Sort(pids)
	return pids
}
