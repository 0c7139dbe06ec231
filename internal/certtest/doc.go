// Package certtest creates certificates for TLS tests.
//
//	certFile, keyFile := certtest.New(t, "server")
package certtest
