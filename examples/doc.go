// Package examples has one program for each common router. Each mounts the metrics
// handler in an application.
//
//	go run ./gin 127.0.0.1:8080
//
// With PROMETHEUS_MULTIPROC_DIR, a program serves the metrics of all processes that share
// the directory. Without it, it serves its own.
package examples
