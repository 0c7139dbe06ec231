// Mpctl shows, checks, serves, compacts and wipes a directory of metric files, and runs
// programs as prefork workers that share one.
//
//	mpctl demo                      four workers and one true /metrics
//	mpctl run -n 4 -- ./server      any program as four workers
//	mpctl serve DIR                 the merged /metrics of a directory
//	mpctl push | textfile | graphite   the same to a Pushgateway, node_exporter, Graphite
//	mpctl dump | ls | families | inspect | check | mark-dead | gc | wipe
//
// The directory is named by --dir, by PROMETHEUS_MULTIPROC_DIR and, for ls, families,
// check, gc, wipe and serve, by an argument.
//
// Data goes to stdout, everything else to stderr. The exit code is 0 when all
// is well, 1 when the answer is no (check found damage, the demo was not
// exact, a living process is in the way), 2 when the command could not do its
// work.
package main
