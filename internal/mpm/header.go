package mpm

import (
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Incarnation identifies one run of one writer: 128 random bits. PIDs are reused,
// incarnations are not.
type Incarnation [16]byte

// String returns the incarnation as 32 hexadecimal digits.
func (i Incarnation) String() string { return hex.EncodeToString(i[:]) }

// Liveness is the kind of lock that tells whether a file's writer is alive.
type Liveness uint32

const (
	LivenessNone  Liveness = iota // no lock: alive until marked dead
	LivenessOFD                   // open file description lock (Linux)
	LivenessFlock                 // flock(2) (other Unix)
	LivenessWin                   // LockFileEx (Windows)
)

// String returns a word for tables.
func (l Liveness) String() string {
	switch l {
	case LivenessOFD:
		return "ofd"
	case LivenessFlock:
		return "flock"
	case LivenessWin:
		return "lockfileex"
	}
	return "none"
}

// Header is the immutable part of a file's header. It identifies the writer.
type Header struct {
	Version      uint32
	Incarnation  Incarnation
	Created      time.Time
	PID          int
	StartTime    uint64 // clock ticks since boot, 0 when unknown
	BootID       [16]byte
	PIDNamespace uint64 // 0 when unknown
	Liveness     Liveness
	Label        string // the process ID, never empty
}

// FileName returns the name of the header's file.
func (h *Header) FileName() string { return fmt.Sprintf("%d-%s.mpm", h.PID, h.Incarnation) }

func (h *Header) tempName() string { return fmt.Sprintf(".%d-%s.tmp", h.PID, h.Incarnation) }

// ParseFileName returns the pid and incarnation in the name of a native file.
func ParseFileName(name string) (pid int, inc Incarnation, ok bool) {
	return parseName(name, "", ".mpm")
}

func parseName(name, prefix, suffix string) (pid int, inc Incarnation, ok bool) {
	name, hasPrefix := strings.CutPrefix(name, prefix)
	name, hasSuffix := strings.CutSuffix(name, suffix)
	p, i, hasDash := strings.Cut(name, "-")
	if !hasPrefix || !hasSuffix || !hasDash || len(i) != 2*len(inc) || strings.ToLower(i) != i {
		return 0, inc, false
	}
	pid, err := strconv.Atoi(p)
	if err != nil || pid < 0 || strconv.Itoa(pid) != p {
		return 0, inc, false
	}
	if _, err := hex.Decode(inc[:], []byte(i)); err != nil {
		return 0, inc, false
	}
	return pid, inc, true
}

// encode writes the immutable part to b, which has headerSize bytes.
func (h *Header) encode(b []byte) {
	copy(b[offMagic:], magic)
	le.PutUint32(b[offVersion:], h.Version)
	le.PutUint32(b[offByteOrder:], byteOrderMark)
	le.PutUint32(b[offHeaderSize:], headerSize)
	le.PutUint32(b[offBlockSize:], BlockSize)
	copy(b[offIncarnation:], h.Incarnation[:])
	le.PutUint64(b[offCreated:], uint64(h.Created.UnixNano()))
	le.PutUint64(b[offPID:], uint64(h.PID))
	le.PutUint64(b[offStartTime:], h.StartTime)
	copy(b[offBootID:], h.BootID[:])
	le.PutUint64(b[offPIDNamespace:], h.PIDNamespace)
	le.PutUint32(b[offLiveness:], uint32(h.Liveness))
	le.PutUint32(b[offLabelLen:], uint32(len(h.Label)))
	copy(b[offLabel:offLabel+maxLabelLen], h.Label)
	le.PutUint32(b[offHeaderCRC:], crc32.Checksum(b[:offHeaderCRC], castagnoli))
}

// decodeHeader reads the immutable part. Its errors carry no path.
func decodeHeader(b []byte) (Header, error) {
	if len(b) < len(magic) || string(b[:len(magic)]) != magic {
		return Header{}, ErrForeign
	}
	corrupt := func(off int64, reason string) (Header, error) {
		return Header{}, &CorruptionError{Offset: off, Reason: reason}
	}
	if len(b) < headerSize {
		return corrupt(int64(len(b)), "file ends within its header")
	}
	if v := le.Uint32(b[offVersion:]); v > formatVersion && le.Uint32(b[offByteOrder:]) == byteOrderMark {
		return Header{}, fmt.Errorf("%w: version %d, this program reads up to %d", ErrUnsupported, v, formatVersion)
	}
	if crc32.Checksum(b[:offHeaderCRC], castagnoli) != le.Uint32(b[offHeaderCRC:]) {
		return corrupt(offHeaderCRC, "header checksum does not match")
	}
	for _, f := range []struct {
		off  int
		want uint32
		what string
	}{
		{offVersion, formatVersion, "version"},
		{offByteOrder, byteOrderMark, "byte order mark"},
		{offHeaderSize, headerSize, "header size"},
		{offBlockSize, BlockSize, "block size"},
	} {
		if got := le.Uint32(b[f.off:]); got != f.want {
			return corrupt(int64(f.off), fmt.Sprintf("%s is %d, not %d", f.what, got, f.want))
		}
	}
	n := le.Uint32(b[offLabelLen:])
	if n == 0 || n > maxLabelLen || !utf8.Valid(b[offLabel:offLabel+n]) {
		return corrupt(offLabelLen, "process label is empty, too long or not UTF-8")
	}
	if pid := le.Uint64(b[offPID:]); pid > math.MaxInt {
		return corrupt(offPID, fmt.Sprintf("pid %d is not possible", pid))
	}
	h := Header{
		Version:      formatVersion,
		Created:      time.Unix(0, int64(le.Uint64(b[offCreated:]))),
		PID:          int(le.Uint64(b[offPID:])),
		StartTime:    le.Uint64(b[offStartTime:]),
		PIDNamespace: le.Uint64(b[offPIDNamespace:]),
		Liveness:     Liveness(le.Uint32(b[offLiveness:])),
		Label:        string(b[offLabel : offLabel+n]),
	}
	if h.Liveness > LivenessWin {
		h.Liveness = LivenessNone // a lock that this version does not know
	}
	copy(h.Incarnation[:], b[offIncarnation:])
	copy(h.BootID[:], b[offBootID:])
	return h, nil
}
