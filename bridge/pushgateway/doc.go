// Package pushgateway pushes metrics to a Prometheus Pushgateway, for programs
// that end before anybody scrapes them.
//
//	p, err := pushgateway.New(pushgateway.Options{URL: "pushgateway:9091", Job: "backup"})
//	if err != nil {
//		return err
//	}
//	err = p.Push(ctx, registry.Default())
//
// [Pusher.Push] replaces all metrics of the group, [Pusher.Add] those of the same
// names, [Pusher.Delete] removes the group. A group is a job and any further
// labels (https://github.com/prometheus/pushgateway, "API").
//
// What is pushed can be a process's own metrics or the merged ones of a directory:
// any registry.Gatherer.
//
// # Credentials
//
// A name and password, a bearer token and a client certificate go to the server of
// the URL alone. A redirect is an error unless Options.FollowRedirects is set; then
// method and body stay, and no credentials are sent to another host, to another
// port, or without TLS where it was used before.
package pushgateway
