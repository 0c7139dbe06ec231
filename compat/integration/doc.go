// Package integration holds the tests of compat's examples as real processes: prefork
// servers of fasthttp, Fiber 2 and Fiber 3 under load, their children killed by
// SIGKILL, a server that tableflip replaces, and servers of client_golang with their
// imports replaced or their registry published.
//
// The claim is the one of the whole project. Without kills the merged metrics equal
// the requests that clients have sent. With kills
//
//	answered <= merged <= answered + broken
//
// where answered requests have their whole answer and broken ones a connection but no
// answer: the server may have counted those or not.
package integration
