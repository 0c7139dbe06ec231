// Package pyfile reads the files of client_python's multiprocess mode, so that package
// aggregate can merge them with native files.
//
//	var keys pyfile.Keys // of all files of the directory
//	r, err := pyfile.Open(dir, "counter_4711.db", &keys, mpm.ReadOptions{})
//	err = r.Refresh(dir)
//	values = r.AppendValues(values[:0])
//	for i, n := range r.Records() {
//		key := r.Keys().Keys()[n] // the key of values[i]
//	}
//
// # The file
//
// The name is <type>_<id>.db, or gauge_<mode>_<id>.db for a gauge. The id is the
// process's, by default its pid. All numbers are in the machine's byte order.
//
//	file   = int32 used | 4 bytes | records up to used | anything
//	record = int32 length of the key | key | 1 to 8 spaces | f64 value [| f64 time]
//	key    = [family, sample, {label: value, …}, help], JSON in any spelling
//
// Writers before client_python 0.16 omit the help, and those before 0.18 the time. The
// positions of the records tell whether a file has times: only one of the strides leads
// from key to key up to used. GitLab's client for Ruby has no times either, and writes
// labels as two arrays, of names and of values.
//
// # Keys, records and series
//
// The workers of a fleet write the same keys, so each key is parsed once for all files
// ([Keys]). A record of a file is the number of its key and the offset of its value. The
// records of a histogram, one for the sum and one for each bucket, belong to one series, as
// do the two records of a summary. A key may occur twice; then both records count.
//
// client_python's buckets are not cumulative. Those of GitLab's client for Ruby are; they
// are converted, and the record of the count, which that client writes too, is ignored.
//
// # Bad files
//
// A record that cannot be read is counted and left out. If it hides where the next one
// begins, the rest of the file is left out too. Nothing is parsed twice: a Reader continues
// where it stopped.
package pyfile
