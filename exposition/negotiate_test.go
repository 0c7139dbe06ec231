package exposition

import (
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/stretchr/testify/assert"
)

func TestNegotiate(t *testing.T) {
	const prometheus3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6," +
		"application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4," +
		"text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
	const prometheus2 = "application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
	const text1 = "text/plain; version=1.0.0; charset=utf-8; escaping="
	const prometheusNative = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;escaping=allow-utf-8;q=0.7," + prometheus3
	const open0 = "application/openmetrics-text; version=0.0.1; charset=utf-8; escaping="
	const open1 = "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping="
	const open2 = "application/openmetrics-text; version=2.0.0; charset=utf-8; escaping="
	const proto = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited; escaping="
	const text0 = "text/plain; version=0.0.4; charset=utf-8"
	for _, tt := range []struct{ accept, want string }{
		{"", text0},
		{prometheus2, open1 + "underscores"},
		{prometheus3, open1 + "allow-utf-8"},
		{prometheusNative, proto + "allow-utf-8"},
		{"application/openmetrics-text", open0 + "underscores"},
		{"application/openmetrics-text;version=0.0.1;escaping=allow-utf-8", open0 + "underscores"}, // this version has no quotes
		{"application/openmetrics-text;version=1.0.0;escaping=values", open1 + "values"},
		{"application/openmetrics-text;version=2.0.0;escaping=allow-utf-8,text/plain;q=0.1", open2 + "allow-utf-8"},
		{"application/openmetrics-text;version=2.0.0;q=0.1,application/openmetrics-text;version=1.0.0", open1 + "underscores"},
		{"application/openmetrics-text;version=3.0.0,text/plain;q=0.1", text0},
		{"application/openmetrics-text;version=1.0.0;q=0.1,text/plain;q=0.2", text0},
		{"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;escaping=dots", proto + "dots"},
		{"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text,*/*;q=0.1", text0},
		{"application/vnd.google.protobuf,*/*;q=0.1", text0},
		{"application/*", open1 + "underscores"},
		{"application/*;q=0.5, text/*", text0},
		{"*/*, application/openmetrics-text;version=1.0.0;q=0.9", text0},
		{"text/plain;q=0, */*", open1 + "underscores"},
		{"text/plain;q=0, text/*;q=0.5", text0}, // nothing is left
		{"text/plain;version=0.0.4;q=0, */*;q=0.5", open1 + "underscores"},
		{"text/plain;q=0, application/openmetrics-text;q=0, */*", text0},
		{"text/plain", text0},
		{"TEXT/Plain ; Version=1.0.0 ; Escaping=allow-utf-8", text1 + "allow-utf-8"},
		{`text/plain;version="1.0.0"`, text1 + "underscores"},
		{"text/plain;version=1.0.0;escaping=underscores", text1 + "underscores"},
		{"text/plain;version=1.0.0;escaping=dots", text1 + "dots"},
		{"text/plain;escaping=values", text0 + "; escaping=values"},
		{"text/plain;version=1.0.0;escaping=nonsense", text1 + "underscores"},
		{"text/plain;version=0.0.4;escaping=underscores", text0 + "; escaping=underscores"},
		{"text/plain;version=0.0.4;escaping=allow-utf-8", text0 + "; escaping=underscores"},
		{"text/plain;version=7", text0},
		{"text/plain;version=7, text/plain;version=1.0.0;q=0.1", text1 + "underscores"},
		{"*/*, text/plain;version=1.0.0", text1 + "underscores"}, // the more specific range wins
		{"text/plain;version=1.0.0;q=0, */*", text0},
		{"text/plain;version=1.0.0;q=2", text0},
		{"text/plain;version=1.0.0;q=NaN", text0},
		{"text/plain;version=1.0.0;q=", text0},
		{",;,=;q,", text0},
	} {
		format := Negotiate(http.Header{"Accept": {tt.accept}})
		assert.Equal(t, tt.want, format.String(), tt.accept)
	}
	two := http.Header{"Accept": {"text/plain;q=0.1", "text/plain;version=1.0.0"}}
	assert.Equal(t, Text100, Negotiate(two).Format, "the header may be there twice")
}

// The content type is what Prometheus' own negotiation chooses among the same formats.
// It would write quoted names in text 0.0.4 and OpenMetrics 0.0.1, and names the scheme
// for a client that did not ask; we do not.
func TestNegotiateAsExpfmt(t *testing.T) {
	const text1 = expfmt.Format("text/plain; version=1.0.0; charset=utf-8")
	const proto = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
	var media []string
	for _, version := range []string{"", ";version=0.0.1", ";version=0.0.4", ";version=1.0.0", ";version=3.0.0"} {
		media = append(media, "text/plain"+version, "application/openmetrics-text"+version)
	}
	media = append(media, proto, "application/vnd.google.protobuf", "text/*", "*/*", "application/json")
	for _, media := range media {
		for _, escaping := range []string{"", ";escaping=underscores", ";escaping=allow-utf-8", ";escaping=dots", ";escaping=values", ";escaping=nonsense"} {
			if strings.Contains(media, "*") && escaping != "" {
				continue // expfmt looks for a version in a wildcard
			}
			for _, rest := range []string{"", ";q=0.5", ";q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.9", ",text/plain;version=0.0.4;q=0.1", ";q=0.2," + proto + ";q=0.3"} {
				accept := media + escaping + rest
				h := http.Header{"Accept": {accept}}
				// The order matters only for wildcards: text 0.0.4 is our default.
				want := string(expfmt.NegotiateAccept(h, expfmt.FmtText, expfmt.FmtOpenMetrics_1_0_0, expfmt.FmtOpenMetrics_0_0_1, expfmt.FmtProtoDelim, text1))
				if strings.Contains(want, "version=0.0.") {
					want = strings.Replace(want, "allow-utf-8", "underscores", 1)
				}
				got := Negotiate(h)
				if got == (ContentType{}) {
					want = strings.TrimSuffix(want, "; escaping=underscores")
				}
				assert.Equal(t, want, got.String(), accept)
			}
		}
	}
}

func TestNegotiateCoding(t *testing.T) {
	for accept, want := range map[string]*coding{
		"":                                nil,
		"identity":                        nil,
		"br, deflate":                     nil,
		"gzip":                            gzipCoding,
		"GZIP":                            gzipCoding,
		"zstd":                            zstdCoding,
		"gzip, zstd":                      zstdCoding,
		"gzip, deflate, br, zstd;q=0.9":   gzipCoding,
		"gzip;q=0.1, zstd;q=0.2":          zstdCoding,
		"gzip;q=0":                        nil,
		"gzip;q=nonsense":                 nil,
		"*":                               gzipCoding,
		"*;q=0":                           nil,
		"gzip;q=0, *":                     nil,
		"identity, gzip;q=0.5":            nil,
		"identity;q=0.5, gzip":            gzipCoding,
		"identity, gzip":                  gzipCoding,
		"identity;q=0":                    nil, // nothing is left: uncoded all the same
		"identity;q=0, *;q=0, zstd;q=0.1": zstdCoding,
	} {
		assert.Same(t, want, negotiateCoding(http.Header{"Accept-Encoding": {accept}}), accept)
	}
}
