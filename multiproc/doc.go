// Package multiproc is what an application touches: counters, gauges,
// histograms, summaries, infos and enums whose values live in this process's
// file, where one reader merges them with those of all other processes.
//
//	var requests = multiproc.NewCounterVec(multiproc.CounterOpts{
//		Name: "http_requests_total", Help: "HTTP requests served.",
//	}, []string{"method", "code"})
//
//	requests.WithLabelValues("GET", "200").Inc()
//
// With PROMETHEUS_MULTIPROC_DIR set, the file is in that directory; without, the
// values are on the heap. The names, the order of arguments and the method
// sets are client_golang's where it has the concept; [Info], [Enum],
// [Gauge.TrackInProgress], [Counter.CountErrors] and the gauge modes are
// client_python's.
//
// # Declaring and opening
//
// Declaring does no I/O: package-level instruments exist in a supervisor and
// in a prefork master too. The file is made by [Open], or by the first update.
// It then holds every declared instrument without labels as 0. A process that
// only declares, or only scrapes, never has a file.
//
// The environment is read at that moment too, not before: main may set [EnvDir],
// [EnvProcessID] and [EnvFileMode] with os.Setenv although instruments were
// declared in package variables. When this process counts already, Open returns
// [ErrTooLate] for a variable that has changed. It does so too if compat/prom, which
// makes client_golang's own metrics without a directory, has made some.
//
// Where the file cannot be made, [Open] says why. Updates go to the heap then,
// and the log says so once. It also says once when somebody has deleted the
// file; [Set.Fallback] tells of both.
//
// # Sets
//
// A [Set] is a group of instruments over one store. The package-level
// constructors use the default Set and panic on an invalid definition; those
// of a Set return an error. A batch job declares its own Set and pushes only
// that.
//
// # The types
//
// [Counter], [Gauge], [Histogram], [Summary], [Info] and [Enum] are one series
// each; a Vec of each is a family of them, one per set of label values. A
// [GaugeFunc] asks a function for its value, a [Timer] gives a duration in
// seconds to any [Observer]. The options structs define them; [Must] turns an
// error into a panic.
//
// [Counter.AddWithExemplar] and [Histogram.ObserveWithExemplar] keep an exemplar
// beside the value.
//
// # Concurrency
//
// Everything is safe for concurrent use. An update is an atomic operation on
// mapped memory: no lock, no system call, no allocation; a killed process
// loses nothing that an update returned from. A lookup by label values takes
// no lock and does not allocate once the series exists.
//
// # Caveats
//
// Label values come from somewhere: a Vec has at most MaxSeries series, and
// further label sets share one whose values are all __overflow__, as do label
// values too long to store. A removed series takes what this process counted
// out of the merged counter, which rate() reads as a reset. Wrong
// updates and lookups are never a panic: they are dropped and counted in
// multiprom_invalid_updates_total and multiprom_discarded_calls_total.
package multiproc
