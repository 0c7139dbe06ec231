// Package access lets packages of this project call functions of a public type that users may
// not call, and for which the type therefore has no methods. The package of the type sets
// the functions before it returns the first value of the type. Arguments have type any
// because those packages import this one.
//
//	store := access.Store(set) // set is a *multiproc.Set
package access
