package multiproc

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"unsafe"

	"github.com/multiprom/multiprom/internal/mpm"
)

// key is all label values of a series, each as mpm.AppendString writes it, which has room for
// form.MaxLabelValueLen. A short key stands in place, so that comparing it touches no
// further cache line.
type key struct {
	n     uint8          // how many bytes of short; more than that: they are at long
	short [shortKey]byte // or the length of what is at long, in four bytes
	long  *byte
}

// shortKey makes a Counter 112 bytes long. At 128, counters would begin at even cache lines
// only, and share half of a cache.
const shortKey = 47

// keyLen returns the length of the key of these values.
func keyLen(values []string) int {
	n := 0
	for _, v := range values {
		n += 2 + len(v)
	}
	return n
}

// makeKey returns a key that shares no memory with the values: a caller such as fasthttp
// may reuse the bytes of its strings.
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
		b = mpm.AppendString(b, v)
	}
	return b
}

// text returns the bytes of a key that does not change any more.
func (k *key) text() string {
	if k.n > shortKey {
		return unsafe.String(k.long, binary.LittleEndian.Uint32(k.short[:]))
	}
	return unsafe.String(&k.short[0], k.n)
}

// matches reports whether the key is that of these values. It compares eight or four bytes
// at a time: label values are short, and a call for each would double the cost.
func (k *key) matches(values []string) bool {
	text := k.text()
	for _, v := range values {
		n := len(v)
		if len(text) < 2+n || int(text[0])|int(text[1])<<8 != n {
			return false
		}
		s := text[2 : 2+n]
		text = text[2+n:]
		switch {
		case n >= 8:
			if load64(s[n-8:]) != load64(v[n-8:]) {
				return false
			}
			for ; len(s) > 8 && len(v) > 8; s, v = s[8:], v[8:] {
				if load64(s) != load64(v) {
					return false
				}
			}
		case n >= 4:
			if load32(s) != load32(v) || load32(s[n-4:]) != load32(v[n-4:]) {
				return false
			}
		case n > 0:
			if s[0] != v[0] || s[n>>1] != v[n>>1] || s[n-1] != v[n-1] {
				return false
			}
		}
	}
	return text == ""
}

// values returns the n values of the key, whose memory they share.
func (k *key) values(n int) []string {
	out, text := make([]string, n), k.text()
	for i := range out {
		out[i], text = mpm.CutString(text)
	}
	return out
}

// Secret numbers of this process. Without them, a client that chooses label values could
// choose their entries in a table too.
var hashSeed, hashKey = rand.Uint64(), rand.Uint64()

// hashValues hashes as wyhash does with short strings. It is written out because two calls
// of hash/maphash cost as much as the rest of a lookup. The hash is never 0.
func hashValues(values []string) uint32 {
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
		// The length distinguishes a from aaa, and {ab, c} from {a, bc}; the rotation
		// distinguishes {a, b} from {b, a}. No product waits for the one before.
		h = bits.RotateLeft64(h, 23) + mix(a^hashKey, b^hashSeed) + uint64(n)
	}
	return uint32(mix(h, hashKey|1)>>32) | 1
}

func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

// load64 and load32 return the first bytes of s as a number: single loads.

func load64(s string) uint64 {
	_ = s[7]
	return binary.LittleEndian.Uint64((*[8]byte)(unsafe.Pointer(unsafe.StringData(s)))[:])
}

func load32(s string) uint64 {
	_ = s[3]
	return uint64(binary.LittleEndian.Uint32((*[4]byte)(unsafe.Pointer(unsafe.StringData(s)))[:]))
}
