package aggregate

import "hash/maphash"

// textTable finds slots by their texts: open addressing with nothing but a pointer
// for each, since a map's own copy of the text's place would be twice as large.
type textTable struct {
	slots []*slot // a power of two; nil is free, dropped was taken
	used  int     // those that are not free
}

var (
	dropped  = &slot{}
	textSeed = maphash.MakeSeed()
)

// find returns the slot of the text, or nil.
func (t *textTable) find(text string) *slot {
	if len(t.slots) == 0 {
		return nil
	}
	for i := maphash.String(textSeed, text); ; i++ {
		switch s := t.slots[i&uint64(len(t.slots)-1)]; {
		case s == nil:
			return nil
		case s != dropped && s.text == text:
			return s
		}
	}
}

// add adds a slot whose text is not there.
func (t *textTable) add(s *slot) {
	if 4*(t.used+1) > 3*len(t.slots) {
		t.grow()
	}
	t.put(s)
}

func (t *textTable) put(s *slot) {
	i := maphash.String(textSeed, s.text)
	for t.slots[i&uint64(len(t.slots)-1)] != nil {
		i++
	}
	t.slots[i&uint64(len(t.slots)-1)] = s
	t.used++
}

// grow makes room, without what was dropped.
func (t *textTable) grow() {
	old, n := t.slots, 0
	for _, s := range old {
		if s != nil && s != dropped {
			n++
		}
	}
	size := 16
	for 2*size < 4*(n+1) { // at most half of it is used
		size *= 2
	}
	*t = textTable{slots: make([]*slot, size)}
	for _, s := range old {
		if s != nil && s != dropped {
			t.put(s)
		}
	}
}

// drop takes a slot out.
func (t *textTable) drop(s *slot) {
	for i := maphash.String(textSeed, s.text); ; i++ {
		at := &t.slots[i&uint64(len(t.slots)-1)]
		if *at == s {
			*at = dropped
			return
		}
	}
}
