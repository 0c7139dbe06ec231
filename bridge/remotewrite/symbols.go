package remotewrite

import "strings"

// symbols are the strings of requests of 2.0. A string keeps its number from one request to the
// next, and gets a ref in each request that has it, in the order in which they are used.
type symbols struct {
	numbers map[string]int
	texts   []string // by number
	refs    []symbolRef
	most    int // how many there may be until they are forgotten

	// The request.
	gen    uint32
	n      uint32
	fields []byte
	order  []uint32          // the numbers of those that have one, in the order of their refs
	others map[string]uint32 // those without a number
	added  []addedSymbols    // whose refs are not noted yet
}

// symbolRef is the ref of a symbol in the request of that gen.
type symbolRef struct{ gen, ref uint32 }

// addedSymbols are symbols with consecutive refs.
type addedSymbols struct {
	numbers []uint32
	ref     uint32 // of the first
}

// tooMany reports whether most symbols may not be in use any more.
func (s *symbols) tooMany() bool { return s.most > 0 && len(s.texts) > s.most }

// settle notes after the first round how many symbols are in use.
func (s *symbols) settle() {
	if s.most == 0 {
		s.most = 2*len(s.texts) + 10_000
	}
}

// begin begins a request.
func (s *symbols) begin() {
	if s.numbers == nil {
		s.numbers, s.others = map[string]int{}, map[string]uint32{}
	}
	clear(s.others)
	if s.gen++; s.gen == 0 { // once in 4 billion requests
		clear(s.refs)
		s.gen = 1
	}
	s.n, s.fields, s.order, s.added = 0, s.fields[:0], s.order[:0], s.added[:0]
	s.add("") // 0 is the empty string
}

// number returns the number of a string.
func (s *symbols) number(text string) int {
	n, ok := s.numbers[text]
	if !ok {
		n = len(s.texts)
		text = strings.Clone(text)
		s.numbers[text] = n
		s.texts, s.refs = append(s.texts, text), append(s.refs, symbolRef{})
	}
	return n
}

// ref returns the ref of a symbol by its number.
func (s *symbols) ref(number uint64) uint32 {
	if r := &s.refs[number]; r.gen == s.gen {
		return r.ref
	}
	return s.first(number)
}

// first is ref for a symbol that the request does not have by its number yet.
func (s *symbols) first(number uint64) uint32 {
	if len(s.added) > 0 {
		s.note()
		return s.ref(number)
	}
	text := s.texts[number]
	ref, ok := uint32(0), false
	if len(s.others) > 0 {
		ref, ok = s.others[text]
	}
	if !ok && text != "" {
		ref = s.add(text)
		s.order = append(s.order, uint32(number))
	}
	s.refs[number] = symbolRef{s.gen, ref}
	return ref
}

// expected returns the ref of a string that later requests have too.
func (s *symbols) expected(text string) uint64 { return uint64(s.ref(uint64(s.number(text)))) }

// other returns the ref of a string that need not be kept for later requests.
func (s *symbols) other(text string) uint64 {
	if text == "" {
		return 0
	}
	if n, ok := s.numbers[text]; ok {
		return uint64(s.ref(uint64(n)))
	}
	ref, ok := s.others[text]
	if !ok {
		ref = s.add(text)
		s.others[strings.Clone(text)] = ref
	}
	return uint64(ref)
}

func (s *symbols) add(text string) uint32 {
	s.fields = appendText(s.fields, requestSymbols, text)
	s.n++
	return s.n - 1
}

// addAll adds symbols that the request does not have yet, as fields, and their numbers.
func (s *symbols) addAll(fields []byte, numbers []uint32) {
	s.added = append(s.added, addedSymbols{numbers, s.n})
	s.fields = append(s.fields, fields...)
	s.n += uint32(len(numbers))
}

// note notes the refs of symbols that addAll has added. Mostly nobody asks for them.
func (s *symbols) note() {
	for _, a := range s.added {
		for i, number := range a.numbers {
			s.refs[number] = symbolRef{s.gen, a.ref + uint32(i)}
		}
	}
	s.added = s.added[:0]
}
