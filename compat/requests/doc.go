// Package requests has the instruments of an HTTP server: how many requests, how long
// they took, how many are in flight. The middleware of compat/fasthttp and
// compat/fiber measures with it; a middleware of another router is a few lines:
//
//	m := requests.New(requests.Options{})
//
//	r := m.Begin()
//	next(w, req)
//	r.End(req.Method, pattern, status)
//
// It declares
//
//	http_requests_total{method,path,code}          counter
//	http_request_duration_seconds{method,path}     histogram
//	http_requests_in_flight                        gauge, sum of living processes
//
// # Bounded labels
//
// A path is the pattern of the route, such as /users/:id, and never what the client
// has sent; requests that no route takes have the one path Unmatched. Methods that
// HTTP does not have, and codes outside 100 to 599, are "other".
//
// A duration ends with the handler: it does not include a body that is streamed later.
//
// # Concurrency
//
// All is safe for concurrent use. Begin and End neither lock nor allocate, but for
// the first request of a label set. A request that ends is counted before its
// answer is sent: each answer that a client has is counted, whenever the process is
// killed.
package requests
