package mpm

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/multiprom/multiprom/internal/options"
)

// Identity is what the operating system says about a process.
type Identity struct {
	PID          int
	StartTime    uint64 // clock ticks since boot, 0 when unknown
	BootID       [16]byte
	PIDNamespace uint64 // 0 when unknown
}

// Options of a store. The zero value is useful.
type Options struct {
	// Label is the process ID, the value of the label pid in the merged view: at most 128
	// bytes of UTF-8, the rest is cut off. Default: the pid.
	Label string
	// MaxBytes bounds the file, from one block of 64 KiB to 32 GiB. Default 1 GiB. Only
	// what is used is allocated.
	MaxBytes int64
	// Mode is the permissions of the file, whatever the umask is: 0640 lets the group of
	// the directory read it. ParseFileMode says which modes are valid. Default 0600.
	Mode os.FileMode
	// KeepRemoved is how long a removed series' values stay readable before other series get
	// its record and its words. It must be long enough for the other processes to remove the
	// series too, for a compactor to see that it is gone, and twice as long as it takes to
	// read a file. Default 2 min; KeepNone does not wait.
	KeepRemoved time.Duration
	// Now is the clock for creation times. Default time.Now.
	Now func() time.Time
	// Elapsed is the monotonic clock for KeepRemoved. Default: the time since an
	// unspecified moment.
	Elapsed func() time.Duration
	// Identity says who this process is. Default: what the system says.
	Identity func() Identity

	boot int64 // CLOCK_BOOTTIME when the file is created; 0 if it is unknown, or there is another clock
}

// DefaultKeepRemoved is the default of Options.KeepRemoved.
const DefaultKeepRemoved = 2 * time.Minute

// Option values with a special meaning. The zero value of a field is always its default.
const (
	// NoLimit means no limit.
	NoLimit = options.NoLimit
	// KeepNone keeps nothing that was removed.
	KeepNone = options.KeepNone
)

// withDefaults checks the options and fills in what was left out.
func (o Options) withDefaults() (Options, error) {
	var c options.Checker
	switch {
	case o.MaxBytes > 0 && o.MaxBytes < BlockSize:
		c.Failf("MaxBytes", "is %d: a block has %d bytes already", o.MaxBytes, BlockSize)
	case o.MaxBytes > maxBlocks<<blockShift:
		c.Failf("MaxBytes", "is %d: a file has at most %d", o.MaxBytes, int64(maxBlocks)<<blockShift)
	}
	options.Number(&c, "MaxBytes", &o.MaxBytes, 1<<30)
	if o.Mode == 0 {
		o.Mode = 0o600
	}
	if _, err := ParseFileMode(fmt.Sprintf("%o", uint32(o.Mode))); err != nil {
		c.Failf("Mode", "is invalid: %v", err)
	}
	options.Number(&c, "KeepRemoved", &o.KeepRemoved, DefaultKeepRemoved, KeepNone)
	if o.KeepRemoved == KeepNone {
		o.KeepRemoved = 0
	}
	if o.Now == nil {
		o.Now = time.Now
		_, o.boot, _ = clocks()
	}
	if o.Elapsed == nil {
		o.Elapsed = elapsed
	}
	if o.Identity == nil {
		o.Identity = CurrentIdentity
	}
	return o, c.Err()
}

// started is when the program started, with a reading of the monotonic clock.
var started = time.Now()

// elapsed is the monotonic clock. It does not jump if the wall clock is set.
func elapsed() time.Duration { return time.Since(started) }

// ErrProcessID: the text cannot name a process.
var ErrProcessID = errors.New("invalid process ID")

// CheckProcessID returns an error if a process must not have this ID. An ID is UTF-8 of at
// most 128 bytes. An empty one stands for the pid.
func CheckProcessID(id string) error {
	switch {
	case len(id) > maxLabelLen:
		return fmt.Errorf("%w: %.40q… has %d bytes, the most is %d", ErrProcessID, id, len(id), maxLabelLen)
	case !utf8.ValidString(id):
		return fmt.Errorf("%w: %q is not UTF-8", ErrProcessID, id)
	}
	return nil
}

// header returns the header of a new file of this process.
func (o *Options) header() Header {
	id := o.Identity()
	h := Header{
		Version: formatVersion, Created: o.Now(), PID: id.PID, StartTime: id.StartTime,
		BootID: id.BootID, PIDNamespace: id.PIDNamespace, Label: truncateUTF8(o.Label, maxLabelLen),
	}
	if h.Label == "" {
		h.Label = strconv.Itoa(h.PID)
	}
	rand.Read(h.Incarnation[:]) // never fails, see its documentation
	return h
}
