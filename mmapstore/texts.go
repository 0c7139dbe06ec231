package mmapstore

import (
	"hash/maphash"
	"iter"
	"math/bits"
	"unsafe"
)

// TextID stands for a text of a Texts: two of them are equal where the texts are.
// The zero TextID stands for none.
type TextID uint32

// Texts keeps each text once, see SeriesInfo.Text: readers that are given the same
// one, by ReadOptions, know the labels of a series that all of them have by one
// number. There is nothing in it that the garbage collector has to follow. It
// belongs to one goroutine at a time, as its readers do.
//
// A text is never moved or overwritten, so strings stay as they are; to keep a short one for
// long is to keep up to 256 KiB around it. A TextID holds until Renew.
type Texts struct {
	chunks []textChunk
	table  []TextID // open addressing; 0 is free
	n      int
	last   TextID // that was found last

	lists sharedLists // of the readers
}

// textChunk holds texts one behind the other, each behind its length. An ID is the
// chunk's number and the place in it, in units of textUnit.
type textChunk []byte

const (
	textUnit      = 4
	textShift     = 16 // units of a chunk, as far as IDs reach
	maxTextChunks = 1 << (32 - textShift)
	minTextChunk  = 4 << 10
	maxTextChunk  = textUnit << textShift
)

var textSeed = maphash.MakeSeed()

// Len returns how many texts there are.
func (t *Texts) Len() int { return t.n }

// Text returns a text.
func (t *Texts) Text(id TextID) string {
	if id == 0 {
		return ""
	}
	c := t.chunks[id>>textShift]
	off := int(id&(1<<textShift-1)) * textUnit
	n := int(le.Uint32(c[off:]))
	b := c[off+4:][:n]
	return unsafe.String(unsafe.SliceData(b), n)
}

// Find returns the ID of a text, 0 where it is not there.
func (t *Texts) Find(text string) TextID {
	if id := t.guess(text); id != 0 {
		return id
	}
	if len(t.table) == 0 {
		return 0
	}
	for i := t.first(text); ; i = t.next(i) {
		switch id := t.table[i]; {
		case id == 0:
			return 0
		case t.Text(id) == text:
			t.last = id
			return id
		}
	}
}

// first returns where to look first for a text, next where behind i.
func (t *Texts) first(text string) int {
	hi, _ := bits.Mul64(maphash.String(textSeed, text), uint64(len(t.table)))
	return int(hi)
}

func (t *Texts) next(i int) int {
	if i++; i == len(t.table) {
		return 0
	}
	return i
}

// Intern returns the ID of a text and keeps it if it is new. ok is false where there
// is no room for more than the 16 GiB that there are.
func (t *Texts) Intern(text string) (id TextID, ok bool) {
	if id := t.Find(text); id != 0 {
		return id, true
	}
	if 4*(t.n+1) > 3*len(t.table) {
		t.grow()
	}
	if id, ok = t.append(text); ok {
		t.put(id, text)
		t.n++
		t.last = id
	}
	return id, ok
}

// guess returns the text that was found last, or the one behind it, if it is that
// one: processes make the same series in the same order.
func (t *Texts) guess(text string) TextID {
	if t.last == 0 {
		return 0
	}
	last := t.Text(t.last)
	if last == text {
		return t.last
	}
	next := t.last + textUnits(len(last))
	if c := t.chunks[t.last>>textShift]; int(next&(1<<textShift-1))*textUnit >= len(c) || next>>textShift != t.last>>textShift {
		next = (t.last>>textShift + 1) << textShift // the first of the next chunk
		if int(next>>textShift) >= len(t.chunks) {
			return 0
		}
	}
	if next == 0 || t.Text(next) != text {
		return 0
	}
	t.last = next
	return next
}

// textUnits returns how many units a text of n bytes takes.
func textUnits(n int) TextID { return TextID(1 + (n+textUnit-1)/textUnit) }

func (t *Texts) append(text string) (id TextID, ok bool) {
	if len(t.chunks) == 0 {
		t.chunks = append(t.chunks, append(make(textChunk, 0, minTextChunk), make([]byte, textUnit)...)) // no text has ID 0
	}
	last := len(t.chunks) - 1
	size := int(textUnits(len(text))) * textUnit
	if c := t.chunks[last]; cap(c)-len(c) < size {
		if last++; last == maxTextChunks {
			return 0, false
		}
		// A text may be longer than a chunk: then it is alone in one.
		t.chunks = append(t.chunks, make(textChunk, 0, max(size, min(2*cap(c), maxTextChunk))))
	}
	c := t.chunks[last]
	id = TextID(last<<textShift | len(c)/textUnit)
	c = append(le.AppendUint32(c, uint32(len(text))), text...)
	t.chunks[last] = c[:(len(c)+textUnit-1)&^(textUnit-1)]
	return id, true
}

func (t *Texts) put(id TextID, text string) {
	i := t.first(text)
	for t.table[i] != 0 {
		i = t.next(i)
	}
	t.table[i] = id
}

// grow makes room in the table. It goes through the texts from front to back, which
// caches serve well.
func (t *Texts) grow() {
	t.table = make([]TextID, max(16, len(t.table)+len(t.table)/2))
	for chunk, c := range t.chunks {
		unit := TextID(0)
		if chunk == 0 {
			unit = 1
		}
		for int(unit)*textUnit < len(c) {
			id := TextID(chunk)<<textShift | unit
			text := t.Text(id)
			t.put(id, text)
			unit += textUnits(len(text))
		}
	}
}

// Renew drops all texts but those that used yields, and writes their new IDs in the
// place of the old ones. It must yield each place once: those of all lists of all readers
// too, see TextIDs.
func (t *Texts) Renew(used iter.Seq[*TextID]) {
	old := *t
	*t = Texts{}
	for id := range used {
		if *id != 0 {
			*id, _ = t.Intern(old.Text(*id)) // fewer than there were: there is room
		}
	}
}
