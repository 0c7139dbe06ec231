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
// Without a queue there is one round at a time. It is sent again, with growing delays,
// until the next interval begins. Then the newest view takes its place.
//
// With Options.QueueDir each round is written to disk before it is sent, and deleted after
// the receiver has answered. Rounds are sent in order. A process that is killed at any
// moment loses no round that was written: the next process sends it, perhaps again. Above
// QueueBytes or QueueAge the oldest rounds are dropped and counted.
//
// # Answers
//
// A connection that fails, a status 5xx and 429 are tried again (with OTLP only 429, 502,
// 503 and 504). Retry-After is obeyed, up to 10 minutes. With any other status the request
// is dropped, counted and logged. Redirects are not followed. Of an answer, a few kilobytes
// are read.
package delivery
