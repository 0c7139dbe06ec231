// Package access lets packages of this project do with a public type of another package
// what users may not, so that the public type has no method for it. The package of the type
// sets the functions before it returns the first value of the type. Arguments are of type
// any because the packages import this one.
//
//	store := access.Store(set) // of a *multiproc.Set
package access
