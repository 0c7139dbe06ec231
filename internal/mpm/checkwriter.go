package mpm

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/multiprom/multiprom/metric"
)

// CheckWriter checks what a writer owes to readers beyond a file that Verify finds sound
// (docs/format.md, "Writing a writer"). It reads the file once, and if its process lives a
// second time after pause, to see how the writer changes it. The error is Open's.
func CheckWriter(path string, opts ReadOptions, pause time.Duration) ([]CorruptionError, error) {
	first, err := copyFile(path, opts)
	if err != nil {
		return nil, err
	}
	problems := first.check()
	if (first.held || first.unlocked()) && pause > 0 {
		time.Sleep(pause)
		second, err := copyFile(path, opts)
		if err != nil {
			return nil, err
		}
		problems = append(problems, second.since(first)...)
	}
	for i := range problems {
		problems[i].Path = path
	}
	return problems, nil
}

// CheckNames finds native files in a directory that no reader looks at, because of their names. A
// directory without a native file is a problem too.
func CheckNames(dir string) (problems []CorruptionError, err error) {
	entries, err := ScanDir(dir)
	if err != nil {
		return nil, err
	}
	fail := func(name, format string, args ...any) {
		problems = append(problems, CorruptionError{Path: filepath.Join(dir, name), Reason: fmt.Sprintf(format, args...)})
	}
	native := false
	for _, e := range entries {
		native = native || e.Kind == KindNative
		if e.Kind == KindOther && (strings.HasSuffix(e.Name, ".mpm") || beginsNative(filepath.Join(dir, e.Name))) {
			fail(e.Name, "readers do not look at it: the name must be the pid, a hyphen, the incarnation in 32 lower-case hexadecimal digits, and .mpm")
		}
	}
	if !native {
		fail("", "the directory has no native file: no metric was updated, or the writer keeps its values in memory")
	}
	return problems, nil
}

// beginsNative reports whether the path is a file with the magic of a native one.
func beginsNative(path string) bool {
	if info, err := os.Lstat(path); err != nil || !info.Mode().IsRegular() {
		return false
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	b, err := readAll(f, int64(len(magic)))
	return err == nil && string(b) == magic
}

// fileCopy is a whole file, and what belongs together of its series.
type fileCopy struct {
	header    Header
	began     time.Time
	ended     time.Time // when all of it was read
	b         []byte
	allocated int64
	mode      os.FileMode
	locks     bool // the filesystem shows locks to everybody
	process   processState
	held      bool // the lock was taken, after process was asked for
	lives     bool // the process was there after held was asked for
	series    []copiedSeries
	regions   []copiedRegion
	exemplars int // that no reader shows
}

type copiedSeries struct {
	offset, created int64
	schema          *metric.Schema
	words           []uint64
}

// processState is what the system says about the process that a header names.
type processState uint8

const (
	processUnknown processState = iota // or of another machine, boot or PID namespace
	processLives
	processEnded
)

// copiedRegion is a region of a live series.
type copiedRegion struct {
	offset, created int64 // created is that of its series
	counts          regionWords
}

// errBusyWriter: the writer changed the records each time that the file was read.
var errBusyWriter = errors.New("the writer adds and removes series faster than the file can be read")

func copyFile(path string, opts ReadOptions) (*fileCopy, error) {
	r, err := Open(path, opts)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	for range 64 {
		s := &fileCopy{header: r.Header(), began: time.Now()}
		s.process = stateOf(&s.header)
		err := Guard(path, func() error {
			if err := r.Refresh(); err != nil {
				return err
			}
			list := r.List()
			for _, i := range r.Series() {
				s.series = append(s.series, copiedSeries{i.Offset(), i.CreatedNanos(), i.Schema, slices.Clone(i.Words())})
			}
			for _, one := range r.Regions() {
				if !one.Removed {
					s.regions = append(s.regions, copiedRegion{one.Offset, list.CreatedNanos(one.Series), *one.Counts})
				}
			}
			for _, e := range r.Exemplars() {
				x, number := e.Load()
				if x == nil && e.cells.half(number & 1)[halfTime] != 0 {
					s.exemplars++
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		generation := r.Generation()
		if err := s.read(path); err != nil {
			return nil, err
		}
		if s.word(offGeneration) == generation {
			if s.held, err = r.Locked(); err != nil {
				return nil, err
			}
			s.lives, s.ended = stateOf(&s.header) == processLives, time.Now()
			return s, nil
		}
	}
	return nil, fmt.Errorf("mmapstore: check %s: %w", path, errBusyWriter)
}

// read reads the published blocks. The header comes last, so its generation tells whether
// anything has changed since.
func (s *fileCopy) read(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	s.mode, s.locks = info.Mode().Perm(), locksWork(f)
	s.allocated = allocatedBytes(info)
	if s.b, err = readAll(f, info.Size()); err != nil {
		return err
	}
	head := make([]byte, headerSize)
	if _, err := f.ReadAt(head, 0); err != nil {
		return err
	}
	copy(s.b, head)
	return nil
}

func (s *fileCopy) word(off int) uint64 { return le.Uint64(s.b[off:]) }

// unlocked reports whether the process lived and had not closed the file, but did not hold the
// lock. A process that is about to end looks like that for a moment.
func (s *fileCopy) unlocked() bool {
	return s.lives && !s.held && s.header.Liveness == systemLiveness && s.word(offClosed) == 0
}

// check returns what is wrong with the file as it is.
func (s *fileCopy) check() (problems []CorruptionError) {
	fail := func(off int, format string, args ...any) {
		problems = append(problems, CorruptionError{Offset: int64(off), Reason: fmt.Sprintf(format, args...)})
	}
	blocks := int(s.word(offBlocks))
	for _, reserved := range [][2]int{{224, offHeaderCRC}, {offReused + 8, headerSize}} {
		if !zero(s.b[reserved[0]:reserved[1]]) {
			fail(reserved[0], "reserved bytes are not zero")
		}
	}
	switch {
	case s.header.Liveness == LivenessNone && s.locks:
		fail(offLiveness, "liveness is none, but this filesystem shows locks to every process: nobody notices the writer's death")
	case s.header.Liveness == LivenessNone:
	case s.header.Liveness != systemLiveness:
		fail(offLiveness, "liveness is %d, which readers of this system never ask for: the process counts as live until it is marked", s.header.Liveness)
	case !s.locks:
		fail(offLiveness, "liveness is a lock, but locks of this filesystem cannot be trusted")
	case s.process == processEnded && s.held:
		fail(offLiveness, "the process has ended, but its lock is held: a forked child still has the file open or mapped")
	}
	if s.word(offFeatures)&featureBlocks == 0 {
		fail(offFeatures, "bit 0 is not set: readers begin again at every change")
	}
	if s.word(offLease) == 0 {
		fail(offLease, "is 0: readers begin again at every change, and other processes have no time to remove a series")
	}
	if s.mode&0o113 != 0 {
		fail(0, "the permissions are %o: the file must not be executable, or writable for everyone", s.mode)
	}
	if s.header.StartTime == 0 || s.header.BootID == [16]byte{} || s.header.PIDNamespace == 0 {
		fail(offStartTime, "start time, boot ID or PID namespace is 0, which means unknown")
	}
	if s.held && s.allocated >= 0 && s.allocated < int64(blocks)<<blockShift {
		fail(0, "only %d bytes of %d blocks are allocated: on a full disk the writer dies of SIGBUS", s.allocated, blocks)
	}
	for n := range min(blocks, len(s.b)>>blockShift) {
		header, _ := blockStart(n)
		at := n<<blockShift + int(header)
		if !zero(s.b[at+offBlockShape+8 : at+blockHeaderSize]) {
			fail(at+offBlockShape+8, "reserved bytes are not zero")
		}
		if le.Uint32(s.b[at+offBlockKind:]) == blockMeta {
			s.checkRecords(n, fail)
		}
	}
	s.checkSeries(fail)
	s.checkRegions(fail)
	return problems
}

// records calls visit with each record of a META block.
func (s *fileCopy) records(n int, visit func(at int, rec []byte)) {
	header, start := blockStart(n)
	block := s.b[n<<blockShift:][:BlockSize]
	used := min(le.Uint64(block[header+offBlockUsed:]), BlockSize)
	for at := start; at+minRecord <= used; {
		size := uint64(le.Uint32(block[at+offRecLen:]))
		if size < minRecord || size%8 != 0 || at+size > used {
			return // Verify says so
		}
		visit(n<<blockShift+int(at), block[at:at+size])
		at += size
	}
}

func (s *fileCopy) checkRecords(n int, fail func(int, string, ...any)) {
	s.records(n, func(at int, rec []byte) {
		if le.Uint16(rec[offRecFlags:]) != 0 {
			fail(at+offRecFlags, "the record's flags are not 0")
		}
		kind, state := le.Uint16(rec[offRecKind:]), le.Uint32(rec[offRecState:])
		switch {
		case state == stateFree || len(rec) < offFamBody:
		case isFamily(kind):
			if typ := metric.Type(rec[offFamType]); rec[offFamMode] != 0 && !typ.HasMode() {
				fail(at+offFamMode, "a %s has a mode", typ)
			}
			if state != stateLive {
				fail(at+offRecState, "a family is removed: families never leave a file")
			}
			s.checkFamily(at, rec, fail)
		case isSeries(kind) && len(rec) >= offSerBody:
			if state == stateLive && le.Uint64(rec[offSerRemoved:]) != 0 {
				fail(at+offSerRemoved, "a live series has a time of removal")
			}
			if state == stateRemoved && le.Uint64(rec[offSerRemoved:]) < le.Uint64(rec[offSerCreated:]) {
				fail(at+offSerRemoved, "the series was removed before it was created")
			}
		}
	})
}

func (s *fileCopy) checkFamily(at int, rec []byte, fail func(int, string, ...any)) {
	_, schema, err := decodeFamily(rec)
	if err != nil {
		return // Verify says so
	}
	for typ, suffix := range map[metric.Type]string{metric.Counter: "_total", metric.Info: "_info"} {
		if schema.Type == typ && strings.HasSuffix(schema.Name, suffix) {
			fail(at, "the name of %s has a suffix that readers add: it is shown as %s", schema.Name, schema.Name+suffix)
		}
	}
	if schema.TTL > 0 && s.word(offFeatures)&featureActive == 0 {
		fail(at+offFamTTL, "%s has a time to live, but bit 1 of features is not set", schema.Name)
	}
}

func (s *fileCopy) checkSeries(fail func(int, string, ...any)) {
	created := map[int64]bool{}
	for _, x := range s.series {
		at := int(x.offset)
		if created[x.created] {
			fail(at+offSerCreated, "two series have the same created time")
		}
		created[x.created] = true
		if x.created <= 0 || x.created > time.Now().Add(time.Minute).UnixNano() {
			fail(at+offSerCreated, "the created time is not one in nanoseconds since 1970")
		}
		float := func(i int) float64 { return math.Float64frombits(x.words[i]) }
		switch x.schema.Type {
		case metric.Counter:
			if f := float(CellCounterFloat); !(f >= 0) || math.IsInf(f, 0) {
				fail(at, "%s: the fractions of a counter are %v", x.schema.Name, f)
			}
		case metric.Gauge, metric.Unknown:
			if x.schema.Timed() {
				s.checkRecent(x, fail)
			}
		case metric.StateSet:
			if !x.schema.Timed() && x.words[CellState] >= uint64(len(x.schema.States)) {
				fail(at, "%s: there is no state %d", x.schema.Name, x.words[CellState])
			}
		}
	}
	if s.exemplars > 0 {
		fail(0, "%d exemplars are not shown: their labels must be ascending by name, valid, and of at most 128 characters", s.exemplars)
	}
}

// checkRegions finds lines of regions that lie among other words.
func (s *fileCopy) checkRegions(fail func(int, string, ...any)) {
	others := map[uint32]bool{} // blocks with words of series
	for _, x := range s.series {
		if len(x.words) > 0 {
			others[le.Uint32(s.b[x.offset+offSerCells:])/blockWords] = true
		}
	}
	for _, x := range s.regions {
		if others[le.Uint32(s.b[x.offset+offRegCells:])/blockWords] {
			fail(int(x.offset), "the words of a region are in a block that has words of series: those are no longer close together")
			return
		}
	}
}

func (s *fileCopy) checkRecent(x copiedSeries, fail func(int, string, ...any)) {
	pair := 1 + 2*(x.words[0]&1)
	if nanos := int64(x.words[pair+1]); x.words[0] > 0 && nanos < 1e17 { // 1973
		fail(int(x.offset), "%s: the time of a mostrecent value is %d, not nanoseconds since 1970", x.schema.Name, nanos)
	}
}

func zero(b []byte) bool { return len(bytes.Trim(b, "\x00")) == 0 }
