package pyfiletest

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Large returns files of two processes of client_python in which one thing is large: the
// number of buckets, of labels, or of bytes. The key of the map is the file's name.
func Large(what string, n int) map[string][]Sample {
	long := strings.Repeat("x", n)
	counters := func(name, help string, labels map[string]string) map[string][]Sample {
		key := Key(name, name+"_total", labels, help)
		return map[string][]Sample{"counter_1.db": {{Key: key, Value: 1.5}}, "counter_2.db": {{Key: key, Value: 2}}}
	}
	switch what {
	case "buckets":
		return map[string][]Sample{"histogram_1.db": Histogram("h", 0, n), "histogram_2.db": Histogram("h", 0, n)}
	case "buckets in all":
		return map[string][]Sample{"histogram_1.db": Histogram("h", 0, n/2), "histogram_2.db": Histogram("h", n/2, n)}
	case "labels":
		labels := map[string]string{}
		for i := range n {
			labels[fmt.Sprintf("l%d", i)] = fmt.Sprint(i % 7)
		}
		return counters("c", "Help.", labels)
	case "bytes of a name":
		return counters(long, "Help.", nil)
	case "bytes of a label name":
		return counters("c", "Help.", map[string]string{long: "v"})
	case "bytes of a label value":
		return counters("c", "Help.", map[string]string{"l": long})
	case "bytes of a help":
		return counters("c", long, map[string]string{"l": "v"})
	}
	panic("pyfiletest: unknown: " + what)
}

// Histogram returns the records of a histogram with the finite bounds first to last-1, of
// a process that has observed each of them once.
func Histogram(name string, first, last int) []Sample {
	sum := 0
	samples := []Sample{{Key: Key(name, name+"_sum", nil, "Help.")}}
	for i := first; i < last; i++ {
		samples = append(samples, Sample{Key: Key(name, name+"_bucket", map[string]string{"le": fmt.Sprintf("%d.0", i)}, "Help."), Value: 1})
		sum += i
	}
	samples[0].Value = float64(sum)
	return append(samples, Sample{Key: Key(name, name+"_bucket", map[string]string{"le": "+Inf"}, "Help.")})
}

// Key returns a key as client_python writes it.
func Key(family, sample string, labels map[string]string, help string) string {
	if labels == nil {
		labels = map[string]string{}
	}
	b, err := json.Marshal([]any{family, sample, labels, help})
	if err != nil {
		panic(err) // strings only
	}
	return string(b)
}
