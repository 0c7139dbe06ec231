package multiproc

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"unsafe"
)

// key is all label values of a series behind each other, each after its length in
// two bytes (metric.MaxLabelValueLen fits). A short one stands in place, so that
// comparing it touches no further cache line.
type key struct {
	n     uint8          // how many bytes of short; more than that: they are at long
	short [shortKey]byte // or the length of what is at long, in four bytes
	long  *byte
}

const shortKey = 31

// keyLen returns the length of the key of these values.
func keyLen(values []string) int {
	n := 0
	for _, v := range values {
		n += 2 + len(v)
	}
	return n
}

// makeKey returns the key, which shares no memory with the values: a caller
// such as fasthttp may reuse the bytes behind its strings.
func makeKey(values []string) (k key) {
	n := keyLen(values)
	if n <= shortKey {
		appendKey(k.short[:0], values)
		k.n = uint8(n)
		return k
	}
	k.n, k.long = shortKey+1, unsafe.SliceData(appendKey(make([]byte, 0, n), values))
	binary.LittleEndian.PutUint32(k.short[:], uint32(n))
	return k
}

func appendKey(b []byte, values []string) []byte {
	for _, v := range values {
		b = append(b, byte(len(v)), byte(len(v)>>8))
		b = append(b, v...)
	}
	return b
}

// text returns the bytes of a key that is not changed any more.
func (k *key) text() string {
	if k.n > shortKey {
		return unsafe.String(k.long, binary.LittleEndian.Uint32(k.short[:]))
	}
	return unsafe.String(&k.short[0], k.n)
}

// matches reports whether the key is that of these values.
func (k *key) matches(values []string) bool {
	text := k.text()
	for _, v := range values {
		n := 2 + len(v)
		if len(text) < n || int(text[0])|int(text[1])<<8 != len(v) || text[2:n] != v {
			return false
		}
		text = text[n:]
	}
	return text == ""
}

// values returns the n values of the key, whose memory they share.
func (k *key) values(n int) []string {
	out, text := make([]string, n), k.text()
	for i := range out {
		end := 2 + (int(text[0]) | int(text[1])<<8)
		out[i], text = text[2:end], text[end:]
	}
	return out
}

// Secret numbers of this process: who chooses label values cannot choose their
// places in a table.
var hashSeed, hashKey = rand.Uint64(), rand.Uint64()

// hashValues is wyhash's way with short strings, written out because two calls
// into hash/maphash cost as much as all the rest of a lookup. It is never 0.
func hashValues(values []string) uint64 {
	h := hashSeed
	for _, v := range values {
		n := len(v)
		var a, b uint64
		switch {
		case n > 16:
			for s := v; len(s) > 16; s = s[16:] {
				h = mix(load64(s)^hashKey, load64(s[8:])^h)
			}
			a, b = load64(v[n-16:]), load64(v[n-8:])
		case n >= 8:
			a, b = load64(v), load64(v[n-8:])
		case n >= 4:
			a, b = load32(v), load32(v[n-4:])
		case n > 0:
			a = uint64(v[0])<<16 | uint64(v[n>>1])<<8 | uint64(v[n-1])
		}
		// The length tells a from aaa, and {ab, c} from {a, bc}.
		h = mix(a^hashKey, b^h) + uint64(n)
	}
	return mix(h, hashKey|1) | 1
}

func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

// load64 and load32 are single loads: the compiler joins the bytes.

func load64(s string) uint64 {
	return load32(s) | load32(s[4:8])<<32
}

func load32(s string) uint64 {
	_ = s[3]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24
}
