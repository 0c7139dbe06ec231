// Package sum is the arithmetic of merging: how the parts of one series, one of each
// process, become one value.
//
// An [Accumulator] is what any number of processes add up to. For a series that is no sum
// it is a [Pick]: the smallest, the newest, the one that is set. The result depends
// neither on the order of the processes nor on how many of them were added up before:
// compaction regroups additions and must change no bit. So sums are [Exact], and rounded
// once.
//
// Every rule that follows from a schema alone has its home here: which schemas merge, what
// is a sum, what only the living have ([Compatible], [Summed], [IsLive] and the others),
// which of several schemas is served ([Offer]), when the life of a series is over
// ([LastEnd]), and which of two times is newer to a reader ([CompareTimes]). So do the
// words in which the archive keeps an accumulator ([Accumulator.Pack], [Unpack]).
//
// Nothing here knows of files, directories or tables. Values are not safe for concurrent
// use.
package sum
