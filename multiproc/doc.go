// Package multiproc has the instruments of an application: counters, gauges, histograms,
// summaries, infos and enums. Their values are in a file of this process, and one reader
// merges the files of all processes.
//
//	var requests = multiproc.NewCounterVec(multiproc.CounterOpts{
//		Name: "http_requests_total", Help: "HTTP requests served.",
//	}, []string{"method", "code"})
//
//	requests.WithLabelValues("GET", "200").Inc()
//
// There is no MustRegister: declaring an instrument is enough.
//
// If PROMETHEUS_MULTIPROC_DIR is set, the file is in that directory. Without it, the
// values are on the heap. Names, order of arguments and method sets are those of
// client_golang. [Info], [Enum], [Gauge.TrackInProgress], [Counter.CountErrors] and the
// gauge modes come from client_python.
//
// # Declaring and opening
//
// Declaring does no I/O, since package-level instruments exist in a supervisor and in a
// prefork master too. [Open] or the first update makes the file. The file then has all
// declared instruments without labels, as 0. A process that only declares, or only
// scrapes, never has a file.
//
// The environment is read when the file is made, and not before. So main may set
// PROMETHEUS_MULTIPROC_DIR ([EnvDir]), MULTIPROM_PROCESS_ID and MULTIPROM_FILE_MODE with
// os.Setenv, although package variables have declared instruments already. If a variable
// changes after that, Open returns [ErrTooLate]. It also does so if compat/prom has made
// metrics before there was a directory, since these are client_golang's own.
//
// If the file cannot be made, [Open] returns the reason. Updates then go to the heap, and
// the log says so once. The log also says once that somebody has deleted the file.
// [Set.Fallback] reports both.
//
// # Sets
//
// A [Set] is a group of instruments with one store. The package-level constructors use
// the default Set, and panic if options are invalid. The constructors of a Set return
// an error. A batch job can declare a Set of its own and push only that.
//
// # The types
//
// [Counter], [Gauge], [Histogram], [Summary], [Info] and [Enum] are one series each. A Vec
// of each has one for every set of label values. A [GaugeFunc] gets its value from a
// function, and a [Timer] gives a duration in seconds to an [Observer]. Option structs
// define them, and [MustNew] turns an error into a panic.
//
// [Counter.AddWithExemplar] and [Histogram.ObserveWithExemplar] add an exemplar to the
// value.
//
// # Concurrency
//
// Everything is safe for concurrent use. An update is an atomic operation on mapped
// memory, without a lock, a system call or an allocation. Only Set of a gauge in a
// mostrecent mode takes a lock, because it stores the time too. A process that is killed
// loses nothing once an update has returned. A lookup by label values takes no lock, and
// does not allocate if the series exists.
//
// # Caveats
//
// Label values may come from outside. A Vec has at most MaxSeries series. Further label
// sets, and label values that are too long, share one series whose values are all
// __overflow__.
//
// Series of a Vec with a TTL expire if no process updates them (docs/churn.md). An instrument
// that is still held brings its series back, with what was counted since.
//
// A removed series leaves the merged view once no live process has it
// (docs/lifecycle.md, "Removing a series"). Prometheus takes that for a reset if the
// series comes again.
//
// Invalid updates and lookups never panic. They are dropped, and counted in
// multiprom_invalid_updates_total and multiprom_discarded_calls_total.
package multiproc
