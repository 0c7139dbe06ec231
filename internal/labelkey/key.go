package labelkey

import (
	"encoding/binary"

	"github.com/multiprom/multiprom/metric"
)

// Append appends the key of labels. Each string has its length in front of it.
func Append(dst []byte, ls metric.Labels) []byte {
	for _, l := range ls {
		dst = binary.AppendUvarint(dst, uint64(len(l.Name)))
		dst = append(dst, l.Name...)
		dst = binary.AppendUvarint(dst, uint64(len(l.Value)))
		dst = append(dst, l.Value...)
	}
	return dst
}

// Labels appends the labels of a key, whose memory they share. It stops where the key is
// none.
func Labels(dst metric.Labels, key string) metric.Labels {
	for key != "" {
		name, rest, ok := cut(key)
		if !ok {
			break
		}
		value, rest, ok := cut(rest)
		if !ok {
			break
		}
		dst, key = append(dst, metric.Label{Name: name, Value: value}), rest
	}
	return dst
}

// cut cuts a string off that has its length in front of it.
func cut(key string) (s, rest string, ok bool) {
	var head [binary.MaxVarintLen64]byte
	n, size := binary.Uvarint(head[:copy(head[:], key)])
	if size <= 0 || n > uint64(len(key)-size) {
		return "", "", false
	}
	key = key[size:]
	return key[:n], key[n:], true
}
