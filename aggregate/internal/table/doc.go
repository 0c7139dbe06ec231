// Package table holds the merged series between scrapes. It knows the row of each series of
// each file, so that a warm scrape hashes no label and adds up only what has changed.
//
// At each scrape it is told what the snapshot has found: [Table.Follow] drops the files that
// are gone, and [Table.Apply] takes out series that are gone and moves the totals by the
// values that have changed. [Table.Plan] gives every new series its row and decides which
// parts of removed series count. [Table.Merge] adds up again the families that are marked,
// and [Table.Families] returns what is shown.
//
// A family has numbered rows. What all rows have is in columns. Spans lead the series of a
// file to their rows. The invariant is that the totals of a family that is not marked
// recompute are the sum of all its parts; [Table.Verify] checks it.
//
// A Table is not safe for concurrent use. Rows that Families returns are valid until the
// next call.
//
//	table.go           the steps of a scrape; the archive's series
//	part.go            the series of one file: Apply, and rows for new series
//	span.go            from series of a file to rows
//	rows.go            rows are found and made
//	index.go           from labels to rows
//	symbolindex.go     the hash table for that
//	schemas.go         which schema of a name is served
//	ends.go            which parts of removed series count
//	expiry.go          which parts of series with a time to live count
//	histogramlimit.go  how many series a histogram may have
//	merge.go           adding up
//	totals.go          sums in columns, kept between scrapes
//	accumulators.go    all other values, for one scrape
//	exemplars.go       the newest exemplars
//	pythonplan.go      client_python's files
//	families.go        what is shown
//	served.go          what others ask of the table
//	verify.go          the invariant, for tests
package table
