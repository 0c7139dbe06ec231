//go:build !race

package model

// The reuse model is one process's file, with one META block of three places and three words in
// CELLS. A record takes one place, or two if its labels are longer. What stands in the second
// place of a long record are label values, and they may look like any header.
const (
	places    = 3
	maxSeries = 6

	stateLive    = 1
	stateRemoved = 2
	stateFree    = 3
)

// place is a part of a block, where a record may begin. A field is a word of the record, or
// several that are always stored in one step.
type place struct {
	length           uint8 // in places
	sum, state       uint8 // checksum and state are one word
	created, removed uint8 // removed is the number of the series too
	label, cell      uint8
}

// checksum returns the checksum of a record's immutable bytes.
func checksum(length, label, cell uint8) uint8 { return 1 + length + 4*(label+4*cell) }

// fileState is the file, and its writer's memory. The writer sees nothing else: it waits for
// nobody.
type fileState struct {
	block      [places]place
	words      [places]uint8 // the series that each word counts for
	gen, shape uint8

	series    [maxSeries + 1]series // by number, from 1
	free      uint8                 // places, a bit each
	freeWords uint8                 // words, a bit each
	op        op
	id, step  uint8 // of the operation: the series, and how many steps are done
	stretch   uint8 // of an addition: the places that are free there
	reshape   bool  // it moves where records begin
}

// series is what the writer knows of a series. Its number is its created time too: each is
// later than all before.
type series struct {
	phase       phase
	place, cell uint8
	length      uint8
	age         uint8 // ticks since the writer looked at the clock for its removal
	held        bool  // some handle can be reached, and may be updated
}

// phase is how far the life of a series has come.
type phase uint8

const (
	unborn phase = iota
	adding       // Add is at work
	alive        // Add has returned
	removing
	removed // Remove has returned
	reclaiming
	reclaimed // its place and its word are free
)

type op uint8

const (
	idle op = iota
	remove
	reclaim
	add
)

// labelOf returns the label of a series. Every third has the same.
func labelOf(id uint8) uint8 { return (id - 1) % 3 }

// record is what a reader knows of a record.
type record struct {
	state, created, removed, label, cell uint8
}

// scrape is a reader.
type scrape struct {
	at      readerStep
	place   uint8
	scrapes uint8 // that are done
	walks   uint8 // that did not settle
	again   bool  // the scrape has begun a second time
	still   bool  // and nothing had moved before that
	moved   bool  // the writer or the clock has made a step since t0
	kept    bool  // the block did not settle: what it had stays

	// What it knows of the block, and how many ticks ago the block was known to be so.
	known                [places]record
	knownGen, knownShape uint8
	knownAge             uint8

	// The scrape at work.
	elapsed    uint8 // ticks since t0
	gen, shape uint8 // loaded before the walk
	walk       walk
	before     walk // an earlier one with the same odd shape
	length     uint8
	sum        uint8
	copied     record
	values     [places]uint8

	// The series that it has to show as live, and those not: a bit each.
	mustLive, mustRemoved uint8
}

// walk is what a walk has found.
type walk struct {
	records [places]record
	damaged bool
	done    bool
}

// reuseState is a state of the reuse model.
type reuseState struct {
	file  fileState
	r     scrape
	fault fault
}

// fault is what has gone wrong in a step.
type fault uint8

const (
	noFault fault = iota
	foreignWord
	missingLive
	shownRemoved
	missingRemoved
	falseDamage
	falseRecord
	neverSettles
	wrongTime
)

var faultNames = [...]string{
	foreignWord:    "a word of one series was taken for another's",
	missingLive:    "a live series, whose addition was acknowledged, is missing",
	shownRemoved:   "a series is shown as live, although its removal was acknowledged",
	missingRemoved: "the part of a removed series is missing",
	falseDamage:    "a sound record is taken for a damaged one",
	falseRecord:    "a reader knows a record that was never written",
	neverSettles:   "a scrape does not settle although nothing moves",
	wrongTime:      "a removed part does not have its own time of removal",
}
