// Package table holds the merged series between scrapes: each series of each file knows
// its row, so that a warm scrape hashes no label and adds up only what has changed.
//
// At each scrape it is told what the snapshot has found: [Table.Follow] drops the files that
// are gone, and [Table.Apply] moves the totals by the values that have changed. [Table.Plan]
// gives every series its row, [Table.Merge] adds up again the families that a plan has
// changed, and [Table.Families] returns them.
//
// A family has rows, numbered; what all rows have stands in columns. Spans lead the series
// of a file to their rows. The invariant is that the totals of a family that is not marked
// recompute are what adding up all its parts gives; [Table.Verify] checks it.
//
// A Table is not safe for concurrent use. Rows that Families returns are valid until the
// next call.
package table
