// Command bench measures multiprom on real directories through its public API. It compares
// it with its peers and with a floor, the bare work on this machine, in one process and
// one run.
//
//	go run . [--full] [--run REGEXP] [--json]
//
// A row is one piece of work. Its sides are multiprom and others that do the same: a peer,
// or a floor such as an atomic add on a mapped page. Rows that need the same directory or
// keep the same heap alive form a group. Each round runs a sample of every side of every
// row of the group, one after the other, so that other load on the machine affects all
// sides alike. The ratio is the median of the rounds' ratios. Times are medians too; they
// say little about other machines.
//
// Without --full only rows with a goal run. A goal bounds the ratio. A goal that is a time
// or size is shown in the column of the peers, and the ratio is relative to it.
//
//	go run . --scale FILE [--run REGEXP]
//	go run . --plots FILE
//
// The first command measures how the cost grows with the number of processes, series and
// files, and writes a CSV file. The second draws the points of that file next to it. Each
// point is a group with the smallest point as the other side.
//
// All workers of a directory run in one process of their own, so that their heaps are not
// part of the aggregator's.
package main
