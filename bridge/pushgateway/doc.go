// Package pushgateway pushes metrics to a Prometheus Pushgateway, for programs that end
// before they are scraped.
//
//	p, err := pushgateway.New(pushgateway.Options{URL: "pushgateway:9091", Job: "backup"})
//	if err != nil {
//		return err
//	}
//	err = p.Push(ctx, registry.Default())
//
// [Pusher.Push] replaces all metrics of the group, [Pusher.Add] replaces those of the
// same names, and [Pusher.Delete] removes the group. A group is a job and any further
// labels (https://github.com/prometheus/pushgateway, "API").
//
// Any gather.Gatherer can be pushed: a process's own metrics, or the merged metrics
// of a directory.
//
// # Credentials
//
// A name and password, a bearer token and a client certificate go only to the server of
// the URL. A redirect is an error unless Options.FollowRedirects is set. If it is,
// method and body stay the same, and no credentials are sent to another host, to
// another port, or without TLS if TLS was used before.
package pushgateway
