// Package pyfile reads the files of client_python's multiprocess mode, so that
// package aggregate merges them beside those of package mmapstore.
//
//	var keys pyfile.Keys // of all files of the directory
//	r, err := pyfile.Open(dir, "counter_4711.db", &keys, mpm.ReadOptions{})
//	err = r.Refresh(dir)
//	values = r.AppendValues(values[:0])
//	for i, n := range r.Records() {
//		key := r.Keys().Keys()[n] // what values[i] is of
//	}
//
// # The file
//
// Its name is <type>_<id>.db, a gauge's gauge_<mode>_<id>.db; the id is the
// process's, by default its pid. All numbers are in the machine's byte order.
//
//	file   = int32 used | 4 bytes | records up to used | anything
//	record = int32 length of the key | key | 1 to 8 spaces | f64 value [| f64 time]
//	key    = [family, sample, {label: value, …}, help], JSON in any spelling
//
// Writers before client_python 0.16 leave the help out, those before 0.18 the
// time. Which of the two a file is follows from where its records lie: only
// one of the strides leads from key to key up to used. GitLab's client for Ruby
// has no time either, and writes labels as two arrays, of names and of values.
//
// # Keys, records and series
//
// The workers of a fleet write the same keys, so each key is parsed once for all
// files ([Keys]); in a file a record is the number of its key and where its value
// lies. The records of a histogram, one for the sum and one for each bucket, are of
// one series, as are the two of a summary. A key may be there twice: both count.
// The buckets are counts of their own, except where GitLab's client for Ruby has
// written them: there each has those below it too, which is undone here, and the
// count is a record beside them, which is left out.
//
// # Bad files
//
// A record that cannot be read is counted and left out; where the next one
// begins is then unknown, and the rest of the file is left out with it.
// Nothing is parsed twice: a Reader goes on where it stopped.
package pyfile
