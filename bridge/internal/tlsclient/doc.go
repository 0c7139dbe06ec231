// Package tlsclient makes the HTTP clients of the bridges from the options that they have in
// common: whom a client trusts, and how it identifies itself.
//
//	config, err := tlsclient.Config(opts.TLS)
//	client := &http.Client{Transport: tlsclient.Transport(config)}
package tlsclient
