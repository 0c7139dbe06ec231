package exposition

import (
	"math"
	"net/http"
	"strconv"
	"time"
)

// scrapePatience returns how long the client waits, as Prometheus says with each
// scrape, or 0 if the header is missing or not sensible.
func scrapePatience(h http.Header) time.Duration {
	seconds, err := strconv.ParseFloat(h.Get("X-Prometheus-Scrape-Timeout-Seconds"), 64)
	if err != nil || !(seconds > 0) || seconds > math.MaxInt64/float64(time.Second) {
		return 0
	}
	return time.Duration(seconds * float64(time.Second))
}

// onTheWay is the time for an answer to reach the client and its parser.
const onTheWay = 500 * time.Millisecond

// gatherWithin returns how long gathering may take for a client with that patience.
// limit is the handler's; 0 is no limit. It leaves the client a tenth, at most half a
// second, to get the answer.
func gatherWithin(limit, patience time.Duration) time.Duration {
	if patience <= 0 {
		return limit
	}
	patience -= min(patience/10, onTheWay)
	if limit > 0 {
		return min(limit, patience)
	}
	return patience
}
