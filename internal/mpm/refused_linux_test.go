package mpm

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

const envRefuse = "MULTIPROM_TEST_REFUSE"

// refusal is a system call that a filter refuses with an error.
type refusal struct {
	call   uint32
	errno  unix.Errno
	second []uint32 // if not empty, only with these second arguments
}

var refusals = map[string]refusal{
	"ofd locks of gVisor":   {unix.SYS_FCNTL, unix.EINVAL, []uint32{unix.F_OFD_SETLK, unix.F_OFD_GETLK, unix.F_OFD_SETLKW}},
	"ofd locks forbidden":   {unix.SYS_FCNTL, unix.EPERM, []uint32{unix.F_OFD_SETLK, unix.F_OFD_GETLK, unix.F_OFD_SETLKW}},
	"asking for locks":      {unix.SYS_FCNTL, unix.EINVAL, []uint32{unix.F_OFD_GETLK}},
	"no fallocate":          {unix.SYS_FALLOCATE, unix.ENOSYS, nil},
	"fallocate unsupported": {unix.SYS_FALLOCATE, unix.EOPNOTSUPP, nil},
	"fallocate forbidden":   {unix.SYS_FALLOCATE, unix.EPERM, nil},
	"no renameat2":          {unix.SYS_RENAMEAT2, unix.ENOSYS, nil},
	"renameat2 unsupported": {unix.SYS_RENAMEAT2, unix.EINVAL, nil},
	"renameat2 forbidden":   {unix.SYS_RENAMEAT2, unix.EPERM, nil},
	"leases":                {unix.SYS_FCNTL, unix.EINVAL, []uint32{unix.F_SETLEASE}},
	"madvise":               {unix.SYS_MADVISE, unix.EINVAL, nil},
	"statfs":                {unix.SYS_FSTATFS, unix.ENOSYS, nil},
}

// install has the kernel refuse the call, in all threads of this process.
func (r refusal) install() error {
	load := func(off uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: off}
	}
	equal := func(k uint32, no uint8) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: k, Jf: no}
	}
	answer := func(k uint32) unix.SockFilter { return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: k} }
	const retErrno, retAllow = 0x00050000, 0x7fff0000
	var filter []unix.SockFilter
	if len(r.second) == 0 {
		filter = []unix.SockFilter{load(0), equal(r.call, 1), answer(retErrno | uint32(r.errno)), answer(retAllow)}
	}
	for _, second := range r.second {
		// struct seccomp_data: nr at 0, the second argument at 24
		filter = append(filter, load(0), equal(r.call, 3), load(24), equal(second, 1), answer(retErrno|uint32(r.errno)))
	}
	filter = append(filter, answer(retAllow))
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	const setModeFilter, tsync = 1, 1
	if _, _, errno := unix.Syscall(unix.SYS_SECCOMP, setModeFilter, tsync, uintptr(unsafe.Pointer(&program))); errno != 0 {
		return errno
	}
	return nil
}

// TestRefusedSystemCalls runs a worker and a reader under a filter that refuses a system
// call. Then what docs/assumptions.md says for that case must hold.
func TestRefusedSystemCalls(t *testing.T) {
	if name := os.Getenv(envRefuse); name != "" {
		require.NoError(t, refusals[name].install())
		underRefusal(t, name)
		return
	}
	for name := range refusals {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command(os.Args[0], "-test.run=^TestRefusedSystemCalls$", "-test.v", "-test.count=1")
			cmd.Env = append(os.Environ(), envRefuse+"="+name)
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, "%s", out)
			require.Contains(t, string(out), "--- PASS: TestRefusedSystemCalls")
		})
	}
}

func underRefusal(t *testing.T, name string) {
	dir := t.TempDir()
	s, err := Create(dir, Options{})
	require.NoError(t, err)
	want := LivenessOFD
	switch name {
	case "ofd locks of gVisor", "ofd locks forbidden", "asking for locks", "statfs":
		want = LivenessNone
	}
	require.Equal(t, want, s.Header().Liveness)
	f, err := s.AddSchema(counterSchema("c", "l"))
	require.NoError(t, err)
	for i := range 5000 { // several blocks
		one, err := s.AddSeries(f, []string{fmt.Sprint(i)}, nil)
		require.NoError(t, err)
		require.False(t, one.Lost())
		one.Words()[CellCounterInts] = 1
	}
	r, err := Open(s.Path(), ReadOptions{})
	require.NoError(t, err)
	defer r.Close()
	require.NoError(t, r.Refresh())
	require.Len(t, r.Series(), 5000)
	held, err := r.Locked()
	require.NoError(t, err)
	require.True(t, held, "alive, or nobody can tell")

	d, err := OpenDir(dir)
	require.NoError(t, err)
	defer d.Close()
	require.NoError(t, d.Reserve(BlockSize, ReadOptions{}))
	require.NoError(t, d.StageArchive(sampleArchive(), ReadOptions{}))
	require.NoError(t, d.CommitArchive())
	_, err = d.ReadArchive(ReadOptions{})
	require.NoError(t, err)

	python := filepath.Join(dir, "counter_1.db")
	require.NoError(t, os.WriteFile(python, make([]byte, 4096), 0o600))
	_, err = d.OpenForWriting("counter_1.db")
	if name == "leases" || name == "statfs" {
		require.ErrorIs(t, err, ErrNoLease)
	} else {
		require.NoError(t, err)
	}
}
