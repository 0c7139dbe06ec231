// Package examples has a program for each router that people use: the handler of
// the metrics, mounted beside an application.
//
//	go run ./gin 127.0.0.1:8080
//
// Without PROMETHEUS_MULTIPROC_DIR each serves its own process, with it all that
// share the directory.
package examples
