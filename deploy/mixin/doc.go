// Mixin writes dashboard.json, a Grafana dashboard of programs that run as many processes. The
// rules beside it, alerts.yml and rules.yml, are written by hand; tests.yml has their tests.
//
//	go run . > dashboard.json
//	go run . --requests demo_requests_total --duration demo_request_duration_seconds > demo.json
//
// docs/operations.md says what each alert means and what to do.
package main
