// Package certtest makes certificates for tests of TLS.
//
//	certFile, keyFile := certtest.New(t, "server")
package certtest
