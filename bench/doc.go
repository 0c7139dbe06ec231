// Command bench measures multiprom on real directories, through its public API,
// next to its peers and to what the machine charges for the bare work, in
// one process and one run.
//
//	go run . [--full] [--run REGEXP] [--json]
//
// A row is one piece of work; its sides are ours and the others that do the
// same: a peer, or a floor such as an atomic add on a mapped page. Rows that
// need the same directory or keep the same heap alive form a group. Each round
// runs a sample of every side of every row of the group, one after the other,
// so that what else the machine does hits all sides alike. The ratio is the median of
// the rounds' ratios; times are medians too, and mean little on another machine.
//
// Without --full only the rows run that have a goal. Goals bound the ratio. A
// goal that is a time or size of its own stands in the column of the peers, and
// the ratio is ours to it.
//
//	go run . --scale FILE [--run REGEXP]
//	go run . --plots FILE
//
// The first measures how the cost grows with the number of processes, series
// and files, and writes a CSV file; the second draws that file's points beside
// it. Each point is a group with the smallest point as the other side.
//
// Workers are processes of their own, all those of a directory in one: what
// they keep on their heaps is not the aggregator's.
package main
