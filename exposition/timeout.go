package exposition

import (
	"math"
	"net/http"
	"strconv"
	"time"
)

// scrapePatience returns after how long the client gives up, as Prometheus says with
// each scrape, and 0 if nothing sensible is said.
func scrapePatience(h http.Header) time.Duration {
	seconds, err := strconv.ParseFloat(h.Get("X-Prometheus-Scrape-Timeout-Seconds"), 64)
	if err != nil || !(seconds > 0) || seconds > math.MaxInt64/float64(time.Second) {
		return 0
	}
	return time.Duration(seconds * float64(time.Second))
}

// onTheWay is what a scrape's answer may take to the client and into its parser.
const onTheWay = 500 * time.Millisecond

// gatherWithin returns how long gathering may take for a client with that patience,
// where limit is the handler's; 0 is no limit. It leaves the client a tenth, or half a
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
