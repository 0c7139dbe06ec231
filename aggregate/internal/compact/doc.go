// Package compact moves what dead processes have counted from their files into the
// archive, and wipes directories: [Run] and [Wipe]. docs/lifecycle.md has every step, and
// what a kill after it leaves.
//
// A pass holds the directory's lock. It sorts the files into those of living processes,
// those of dead ones, and those of which nobody can tell. It adds the dead to the values of
// the archive, and renames the new archive over the old one, which is the commit. Then it
// removes the files that are in it. A file that it does not understand completely stays, and
// so does any file that is not ours.
//
//	pass.go           the steps of a pass, from a listing to the commit
//	archiver.go       the new archive: the old one and the dead
//	pythonpass.go     what a pass does with client_python's files
//	pythonarchive.go  their values in the new archive
//	drop.go           families that the new archive leaves out
//	space.go          what to do if the filesystem is full
//	wipe.go           a pass that keeps no values
//	dirlock.go        the lock of the directory
//	options.go        options and results
//
// Options and results are those of package aggregate, which says what they mean.
package compact
