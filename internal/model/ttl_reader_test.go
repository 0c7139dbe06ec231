//go:build !race

package model

import "strings"

// ttlScrape is a reader that reads one word at a time.
type ttlScrape struct {
	at    ttlReaderStep
	other uint8
	t     uint8 // of its clock, before it reads
	all   [parts]part
	done  bool

	// What a reader that needs no time would have shown at t.
	shown          bool
	created, value uint8
	floor          uint8
}

type ttlReaderStep uint8

const (
	scrapeClock ttlReaderStep = iota
	scrapeCreated
	scrapeActive
	scrapeWords
	scrapeCreatedAgain
	scrapeClockAgain
)

var scrapeNames = [...]string{
	scrapeClock:        "looks at the clock: t0",
	scrapeCreated:      "loads a part's state and created",
	scrapeActive:       "loads its active and removed",
	scrapeWords:        "loads its words",
	scrapeCreatedAgain: "loads its state and created again",
	scrapeClockAgain:   "looks at the clock: t1",
}

func (m ttl) readerSteps(s ttlState, step func(who, what string, next ttlState)) {
	r := &s.r
	if r.done {
		return
	}
	what := scrapeNames[r.at]
	o, c := &s.all[r.other], &r.all[r.other]
	switch r.at {
	case scrapeClock:
		v := m.look(s.now, &s.all)
		*r = ttlScrape{t: s.now, shown: v.shown, created: v.created, value: v.count, floor: s.floor}
		r.nextPart(s.all[:], -1)
	case scrapeCreated:
		*c = part{used: o.used, dead: o.dead, state: o.state, created: o.created}
		r.at = scrapeActive
	case scrapeActive:
		c.active, c.removed, r.at = o.active, o.removed, scrapeWords
	case scrapeWords:
		c.count, c.sum, r.at = o.count, o.sum, scrapeCreatedAgain
		if m.spoiled == "the reader loads created once" {
			r.nextPart(s.all[:], int(r.other))
		}
	case scrapeCreatedAgain:
		if c.state != o.state || c.created != o.created {
			r.at = scrapeCreated
			break
		}
		r.nextPart(s.all[:], int(r.other))
	case scrapeClockAgain:
		s.fault = m.judge(&s)
		s.r = ttlScrape{done: true}
	}
	step("reader", what, s)
}

func (r *ttlScrape) nextPart(all []part, after int) {
	for after++; after < parts && !all[after].used; after++ {
	}
	if r.other, r.at = uint8(after), scrapeCreated; after == parts {
		r.other, r.at = 0, scrapeClockAgain
	}
}

// judge says whether the reader shows what the series was at some moment of the scrape.
func (m ttl) judge(s *ttlState) fault {
	r := &s.r
	all := [parts + 1]part{}
	copy(all[:], r.all[:])
	v, now := m.look(r.t, &all), m.look(s.now, &s.all)
	switch {
	case v.shown && s.now >= v.newest+hiddenAfter && !strings.Contains(m.spoiled, "no t1"):
		return noFault // it tries again
	case v.shown && v.count != v.sum:
		return halfCounted
	case v.shown && r.shown && v.created <= r.created && v.count < r.value:
		return fell
	case v.shown && v.created < r.floor:
		return createdBack
	case v.shown && v.created >= s.floor && s.created > 0 && v.count > s.value:
		return tornRead
	case !v.shown && r.shown && now.shown && r.floor == s.floor:
		return notShown
	}
	return noFault
}
