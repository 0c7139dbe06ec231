// Mpctl shows, checks, serves, compacts and wipes a directory of metric files. It also
// runs programs as prefork workers that share such a directory.
//
//	mpctl demo                      four workers and one true /metrics
//	mpctl run -n 4 -- ./server      any program as four workers
//	mpctl serve DIR                 the merged /metrics of a directory
//	mpctl push | textfile | graphite   send them to a Pushgateway, node_exporter, Graphite
//	mpctl remote-write | otlp          or to Prometheus, Mimir, VictoriaMetrics, a Collector
//	mpctl top | replay | dump | diff | ls | families | inspect | check | mark-dead | gc | wipe
//	mpctl writer python             a module for Python programs
//
// Name the directory by --dir or PROMETHEUS_MULTIPROC_DIR. The commands ls, families,
// check, gc, wipe and serve also take it as an argument.
//
// Data goes to stdout, everything else to stderr. The exit code is 0 on success, 1 if
// the answer is no (check found damage, the demo was not exact, a living process is in
// the way), and 2 if the command could not do its work.
package main
