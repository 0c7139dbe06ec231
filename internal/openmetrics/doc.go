// Package openmetrics has rules of OpenMetrics 1.0 that several of our packages obey: the
// names that a family takes, when a histogram may have a sum, and what an exemplar may be.
//
//	for _, name := range openmetrics.SampleNames("requests", metric.Counter) {
//		… // requests, requests_total, requests_created
//	}
package openmetrics
