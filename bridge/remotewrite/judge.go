package remotewrite

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/klauspost/compress/snappy"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/multiprom/multiprom/bridge/internal/send"
	"github.com/multiprom/multiprom/internal/form"
)

// Headers in which a receiver of 2.0 says how much it has written.
const (
	writtenSamples    = "X-Prometheus-Remote-Write-Samples-Written"
	writtenHistograms = "X-Prometheus-Remote-Write-Histograms-Written"
	writtenExemplars  = "X-Prometheus-Remote-Write-Exemplars-Written"
)

// Judge says what an answer means.
func (e *encoder) Judge(b *send.Batch, a *send.Answer) send.Verdict {
	written, says := written(a.Header)
	rejected := 0
	if b.Form == form2 {
		rejected = max(0, b.Samples-written)
	}
	switch {
	case b.Form == form2 && (a.Code == http.StatusUnsupportedMediaType || a.Code/100 == 2 && !says) && e.auto:
		body, err := convert(b.Body, e.native == nativeAlways)
		if err != nil {
			return send.Verdict{Outcome: send.Refused, Rejected: b.Samples, Note: err.Error()}
		}
		why := a.Status
		if a.Code/100 == 2 {
			why += " without " + writtenSamples
		}
		v := send.Verdict{Outcome: send.Convert, Instead: send.Batch{Form: form1, Samples: b.Samples, Body: body}}
		if e.version.Swap(1) == 2 {
			v.Note = fmt.Sprintf("remotewrite: the receiver does not take version 2.0 (%s): using 1.0 from now on", why)
		}
		return v
	case a.Code/100 == 2:
		note := a.Line()
		if rejected > 0 && !says {
			note = "it does not say that it has written any: is it a receiver of 1.0?"
		}
		return send.Verdict{Outcome: send.Sent, Rejected: rejected, Note: note}
	case a.Code/100 == 5, a.Code == http.StatusTooManyRequests:
		return send.Verdict{Outcome: send.Retry}
	}
	if b.Form == form1 {
		rejected = b.Samples
	}
	return send.Verdict{Outcome: send.Refused, Rejected: rejected}
}

// written returns how many samples and histograms an answer says were written. says is false if it
// says nothing.
func written(h http.Header) (n int, says bool) {
	for _, name := range []string{writtenSamples, writtenHistograms, writtenExemplars} {
		v, err := strconv.Atoi(h.Get(name))
		if err != nil {
			continue
		}
		says = true
		if name != writtenExemplars {
			n += v
		}
	}
	return n, says
}

var errConvert = errors.New("a request of remote write 2.0 is damaged")

// convert turns the body of a request of 2.0 into one of 1.0. What 1.0 does not have is left
// out: start times and metadata. If native buckets are not wanted, a histogram that has no others
// becomes the bucket +Inf, sum and count.
func convert(body []byte, native bool) ([]byte, error) {
	src, err := snappy.Decode(nil, body)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errConvert, err)
	}
	var symbols [][]byte
	var dst []byte
	seen := map[string]bool{} // label sets with a name that had to be changed
	err = fields(src, func(n protowire.Number, v []byte, _ uint64) error {
		switch n {
		case requestSymbols:
			symbols = append(symbols, v)
		case requestSeries2:
			all, err := convertSeries(v, symbols, seen, native)
			if err != nil {
				return err
			}
			for _, series := range all {
				dst = protowire.AppendBytes(appendTag(dst, requestSeries1, protowire.BytesType), series)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return appendSnappy(nil, dst), nil
}

// convertSeries returns none for a series that another one is equal to, and several for native
// buckets that are not wanted.
func convertSeries(src []byte, symbols [][]byte, seen map[string]bool, native bool) ([][]byte, error) {
	var labels, samples, exemplars, histograms []byte
	var pairs []labelPair
	var instead [][]byte
	err := fields(src, func(n protowire.Number, v []byte, _ uint64) (err error) {
		switch n {
		case series2Labels:
			if pairs, err = convertLabels(v, symbols, seen); err == nil && pairs == nil {
				return errTwice
			}
			labels = appendPairs(pairs)
		case series2Samples:
			var sample []byte
			err = fields(v, func(n protowire.Number, _ []byte, bits uint64) error {
				switch n {
				case sampleValue:
					sample = appendDouble(sample, sampleValue, bits)
				case sampleTime:
					sample = appendUint(sample, sampleTime, bits)
				}
				return nil
			})
			samples = protowire.AppendBytes(appendTag(samples, series1Samples, protowire.BytesType), sample)
		case series2Hist:
			name := nameOf(pairs)
			switch {
			case native:
				var h []byte
				h, err = convertNative(v)
				histograms = protowire.AppendBytes(appendTag(histograms, series1Hist, protowire.BytesType), h)
			case !hasClassic(symbols, name):
				instead, err = classicOf(pairs, v)
			}
		case series2Exemplars:
			var x []byte
			err = fields(v, func(n protowire.Number, v []byte, bits uint64) (err error) {
				switch n {
				case exemplarLabels:
					var pairs []labelPair
					pairs, err = convertLabels(v, symbols, nil)
					x = appendPairs(pairs)
				case exemplarValue:
					x = appendDouble(x, exemplarValue, bits)
				case exemplarTime:
					x = appendUint(x, exemplarTime, bits)
				}
				return err
			})
			exemplars = protowire.AppendBytes(appendTag(exemplars, series1Exemplar, protowire.BytesType), x)
		}
		return err
	})
	switch {
	case errors.Is(err, errTwice):
		return nil, nil
	case err != nil || instead != nil:
		return instead, err
	case len(samples)+len(histograms) == 0:
		return nil, nil // only native buckets, whose classic ones are in the request
	}
	return [][]byte{slices.Concat(labels, samples, exemplars, histograms)}, nil
}

var errTwice = errors.New("another series has the same labels in 1.0")

type labelPair struct{ name, value string }

func nameOf(pairs []labelPair) string {
	for _, p := range pairs {
		if p.name == nameLabel {
			return p.value
		}
	}
	return ""
}

func sortPairs(pairs []labelPair) {
	slices.SortStableFunc(pairs, func(a, b labelPair) int { return strings.Compare(a.name, b.name) })
}

// appendPairs returns labels as messages of 1.0.
func appendPairs(pairs []labelPair) []byte {
	out := []byte{}
	for _, p := range pairs {
		out = appendLabel1(out, p.name, p.value)
	}
	return out
}

// convertLabels returns labels as 1.0 has them. Of two label sets that become equal, it returns
// nil for the second.
func convertLabels(refs []byte, symbols [][]byte, seen map[string]bool) ([]labelPair, error) {
	pairs := []labelPair{}
	changed := false
	next := func() (string, error) {
		ref, n := protowire.ConsumeVarint(refs)
		if n < 0 || ref >= uint64(len(symbols)) {
			return "", errConvert
		}
		refs = refs[n:]
		return string(symbols[ref]), nil
	}
	for len(refs) > 0 {
		name, err := next()
		if err != nil {
			return nil, err
		}
		value, err := next()
		if err != nil {
			return nil, err
		}
		switch {
		case name == nameLabel && !form.IsLegacyName(value):
			value, changed = form.Underscored(value, true), true
		case !form.IsLegacyLabelName(name):
			name, changed = form.Underscored(name, false), true
		}
		pairs = append(pairs, labelPair{name, value})
	}
	if changed {
		sortPairs(pairs)
		pairs = slices.CompactFunc(pairs, func(a, b labelPair) bool { return a.name == b.name })
	}
	if changed && seen != nil {
		key := string(appendPairs(pairs))
		if seen[key] {
			return nil, nil
		}
		seen[key] = true
	}
	return pairs, nil
}

// fields calls fn with each field of a message: its bytes, or its number.
func fields(src []byte, fn func(n protowire.Number, v []byte, bits uint64) error) error {
	for len(src) > 0 {
		n, typ, size := protowire.ConsumeTag(src)
		if size < 0 {
			return errConvert
		}
		src = src[size:]
		var v []byte
		var bits uint64
		switch typ {
		case protowire.BytesType:
			v, size = protowire.ConsumeBytes(src)
		case protowire.VarintType:
			bits, size = protowire.ConsumeVarint(src)
		case protowire.Fixed64Type:
			bits, size = protowire.ConsumeFixed64(src)
		default:
			size = protowire.ConsumeFieldValue(n, typ, src)
		}
		if size < 0 {
			return errConvert
		}
		src = src[size:]
		if err := fn(n, v, bits); err != nil {
			return err
		}
	}
	return nil
}
