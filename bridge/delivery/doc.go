// Package delivery has the options that packages remotewrite and otlp share: where the
// receiver is, how the sender identifies itself, how often it sends, and what happens if the
// receiver does not answer.
//
//	w, err := remotewrite.New(remotewrite.Options{
//		Options: delivery.Options{
//			URL:      "https://mimir.example/api/v1/push",
//			Username: "app", PasswordFile: "/run/secrets/mimir",
//			QueueDir: "/var/lib/app/queue",
//		},
//	})
//
// # Rounds
//
// A round is one view, encoded at one time. Sums are cumulative, so a lost round costs
// resolution and no counts.
//
// Without a queue there is one round at a time. It is sent again until the next interval
// begins. Then the newest view takes its place.
//
// With Options.QueueDir each round is written to disk before it is sent, and deleted after
// the receiver has answered. Rounds are sent in order. A process that is killed at any
// moment loses no round that was written: the next process sends it, perhaps again. Above
// QueueBytes or QueueAge the oldest rounds are dropped and counted.
//
// # Answers
//
// A connection that fails, a status 5xx and 429 are tried again (with OTLP only 429, 502,
// 503 and 504). With any other status the request is dropped, counted and logged. Redirects
// are not followed. Of an answer, a few kilobytes are read.
//
// # Delays
//
// The delay before the next request doubles with each failure, up to MaxBackoff, and is
// between a half and the whole of that. Only an answer ends it: a new round does not begin
// it again, so a receiver that is down for an hour sees some 160 requests. Retry-After is
// obeyed, by later rounds too, up to 10 minutes.
//
// When Run ends, it sends one more request at once, unless the receiver has asked for a
// delay. It ends as soon as there is no time left for another one, and after 10 seconds at
// the latest. Without a queue, what could not be sent is lost.
package delivery
