// Package compact moves what dead processes have counted from their files into the
// archive, and wipes directories: [Run] and [Wipe]. docs/lifecycle.md has every step, and
// what a kill after it leaves.
//
// A pass holds the lock of the directory. It sorts the files into the living, the dead and
// those of which nobody can tell; adds the dead to the values of the archive; and puts the
// new archive in the place of the old one by a rename, which is the commit. Then it removes
// the files that are in it. What is not wholly understood, and what is not ours, stays.
//
// Options and results are those of package aggregate, which says what they mean.
package compact
