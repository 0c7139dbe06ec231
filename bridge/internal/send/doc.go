// Package send is what remotewrite and otlp have in common: it takes rounds from an
// [Encoder], keeps them in a queue if there is one, and sends them one after the other until
// the receiver has answered.
//
//	p, err := send.New(opts, encoder)
//	err = p.Run(ctx, gatherer)
//
// One goroutine sends, so the samples of a series arrive in order. A [Tracker] knows which
// series were sent last, so that those that left the view get a staleness marker.
package send
