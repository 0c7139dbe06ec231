package exposition

import (
	"net/http"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/assert"
)

func TestNegotiate(t *testing.T) {
	const prometheus3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6," +
		"application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4," +
		"text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
	const prometheus2 = "application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
	const text1 = "text/plain; version=1.0.0; charset=utf-8; escaping="
	const text0 = "text/plain; version=0.0.4; charset=utf-8"
	for _, tt := range []struct{ accept, want string }{
		{"", text0},
		{prometheus2, text0},
		{prometheus3, text1 + "allow-utf-8"},
		{"text/plain", text0},
		{"TEXT/Plain ; Version=1.0.0 ; Escaping=allow-utf-8", text1 + "allow-utf-8"},
		{`text/plain;version="1.0.0"`, text1 + "underscores"},
		{"text/plain;version=1.0.0;escaping=underscores", text1 + "underscores"},
		{"text/plain;version=1.0.0;escaping=dots", text1 + "underscores"},
		{"text/plain;version=0.0.4;escaping=underscores", text0 + "; escaping=underscores"},
		{"text/plain;version=0.0.4;escaping=allow-utf-8", text0 + "; escaping=underscores"},
		{"text/plain;version=7", text0},
		{"text/plain;version=7, text/plain;version=1.0.0;q=0.1", text1 + "underscores"},
		{"*/*, text/plain;version=1.0.0", text1 + "underscores"}, // what says more goes first
		{"text/plain;version=1.0.0;q=0, */*", text0},
		{"text/plain;version=1.0.0;q=2", text0},
		{"text/plain;version=1.0.0;q=NaN", text0},
		{"text/plain;version=1.0.0;q=", text0},
		{",;,=;q,", text0},
	} {
		format := Negotiate(http.Header{"Accept": {tt.accept}})
		assert.Equal(t, tt.want, format.ContentType(), tt.accept)
	}
	two := http.Header{"Accept": {"text/plain;q=0.1", "text/plain;version=1.0.0"}}
	assert.Equal(t, Text100, Negotiate(two).Version, "the header may be there twice")
}

// Version and escaping are what Prometheus' own negotiation chooses among the
// same formats. It would write quoted names in text 0.0.4; we do not.
func TestNegotiateAsExpfmt(t *testing.T) {
	const text1 = expfmt.Format("text/plain; version=1.0.0; charset=utf-8")
	for _, media := range []string{"text/plain", "text/*", "*/*", "application/json"} {
		for _, version := range []string{"", ";version=0.0.4", ";version=1.0.0", ";version=2.0.0"} {
			if version != "" && media != "text/plain" {
				continue // expfmt compares the parameters of a wildcard, which have no meaning
			}
			for _, escaping := range []string{"", ";escaping=underscores", ";escaping=allow-utf-8", ";escaping=nonsense"} {
				for _, rest := range []string{"", ";q=0.5", ";q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.9", ",text/plain;version=0.0.4;q=0.1"} {
					accept := media + version + escaping + rest
					h := http.Header{"Accept": {accept}}
					// The order only counts for wildcards: text 0.0.4 is our default.
					want := expfmt.NegotiateAccept(h, expfmt.FmtText, text1)
					got := Negotiate(h)
					assert.Equal(t, want.Version() == "1.0.0", got.Version == Text100, accept)
					if got.Version == Text100 {
						assert.Equal(t, want.ToEscapingScheme() == model.NoEscaping, got.utf8(), accept)
					}
				}
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
