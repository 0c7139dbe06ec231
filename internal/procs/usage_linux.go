package procs

import (
	"bytes"
	"os"
	"strconv"
	"syscall"
)

// UsageOf returns what each of the workers uses, in their order. It is for those who show many
// workers often: it takes three system calls for each.
func UsageOf(workers []Worker) []Usage { return usageOf(procPath(""), workers) }

func usageOf(path string, workers []Worker) []Usage {
	out := make([]Usage, len(workers))
	namespace, err := ownPIDNamespace(path)
	if err != nil {
		return out
	}
	buf, name := make([]byte, 1024), []byte(path+"/") // a stat has some 300 bytes
	dir, page := len(name), float64(os.Getpagesize())
	for i, w := range workers {
		if w.PIDNamespace != namespace || w.PID <= 0 {
			continue
		}
		name = append(strconv.AppendInt(name[:dir], int64(w.PID), 10), "/stat"...)
		if s, ok := parseStat(readSmall(string(name), buf)); ok && s.started == w.StartTime && s.state != 'Z' && s.state != 'X' {
			out[i] = Usage{Known: true, CPU: float64(s.ticks) / userHZ, RSS: float64(s.pages) * page, Stopped: s.state == 'T' || s.state == 't'}
		}
	}
	return out
}

// readSmall returns what a file of /proc has, up to the length of buf, or nothing.
func readSmall(name string, buf []byte) []byte {
	fd, err := syscall.Open(name, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer syscall.Close(fd)
	n, err := syscall.Read(fd, buf)
	for err == syscall.EINTR {
		n, err = syscall.Read(fd, buf)
	}
	return buf[:max(0, n)]
}

// stat is a part of /proc/PID/stat.
type stat struct {
	state   byte
	ticks   uint64 // user and system time
	started uint64
	pages   uint64
}

// parseStat reads a stat. The name of the program, in brackets, may have any characters.
func parseStat(b []byte) (s stat, ok bool) {
	end := bytes.LastIndexByte(b, ')')
	if end < 0 {
		return s, false
	}
	number := 2 // of the field, counted from 1
	for f := range bytes.FieldsSeq(b[end+1:]) {
		number++
		var to *uint64
		switch number {
		case 3:
			s.state = f[0]
			continue
		case 14, 15:
			n, err := strconv.ParseUint(string(f), 10, 64)
			if err != nil {
				return s, false
			}
			s.ticks += n
			continue
		case 22:
			to = &s.started
		case 24:
			to = &s.pages
		default:
			continue
		}
		n, err := strconv.ParseUint(string(f), 10, 64)
		if *to = n; err != nil {
			return s, false
		}
		if number == 24 {
			return s, true
		}
	}
	return s, false
}
