package promhttp

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/multiprom/multiprom/compat/prom"
)

// Handler serves prom.DefaultGatherer, and counts its own requests, of this
// process, in prom.DefaultRegisterer.
func Handler() http.Handler {
	return promhttp.InstrumentMetricHandler(prom.DefaultRegisterer, promhttp.HandlerFor(prom.DefaultGatherer, promhttp.HandlerOpts{}))
}

// Types of client_golang.
type (
	Compression           = promhttp.Compression
	HandlerErrorHandling  = promhttp.HandlerErrorHandling
	HandlerOpts           = promhttp.HandlerOpts
	InstrumentTrace       = promhttp.InstrumentTrace
	LabelValueFromCtx     = promhttp.LabelValueFromCtx
	LabelValueFromRequest = promhttp.LabelValueFromRequest
	Logger                = promhttp.Logger
	Option                = promhttp.Option
	RoundTripperFunc      = promhttp.RoundTripperFunc
)

// Constants of client_golang.
const (
	ContinueOnError  = promhttp.ContinueOnError
	Gzip             = promhttp.Gzip
	HTTPErrorOnError = promhttp.HTTPErrorOnError
	Identity         = promhttp.Identity
	PanicOnError     = promhttp.PanicOnError
	Zstd             = promhttp.Zstd
)

// Functions of client_golang.
var (
	HandlerFor                         = promhttp.HandlerFor
	HandlerForTransactional            = promhttp.HandlerForTransactional
	InstrumentHandlerCounter           = promhttp.InstrumentHandlerCounter
	InstrumentHandlerDuration          = promhttp.InstrumentHandlerDuration
	InstrumentHandlerInFlight          = promhttp.InstrumentHandlerInFlight
	InstrumentHandlerRequestSize       = promhttp.InstrumentHandlerRequestSize
	InstrumentHandlerResponseSize      = promhttp.InstrumentHandlerResponseSize
	InstrumentHandlerTimeToWriteHeader = promhttp.InstrumentHandlerTimeToWriteHeader
	InstrumentMetricHandler            = promhttp.InstrumentMetricHandler
	InstrumentRoundTripperCounter      = promhttp.InstrumentRoundTripperCounter
	InstrumentRoundTripperDuration     = promhttp.InstrumentRoundTripperDuration
	InstrumentRoundTripperInFlight     = promhttp.InstrumentRoundTripperInFlight
	InstrumentRoundTripperTrace        = promhttp.InstrumentRoundTripperTrace
	WithExemplarFromContext            = promhttp.WithExemplarFromContext
	WithExemplarFromRequest            = promhttp.WithExemplarFromRequest
	WithExtraMethods                   = promhttp.WithExtraMethods
	WithLabelFromCtx                   = promhttp.WithLabelFromCtx
	WithLabelFromRequest               = promhttp.WithLabelFromRequest
)
