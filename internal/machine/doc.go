// Package machine makes IDs that are the same after a restart, of what tells a machine and a
// directory or program on it from others.
//
//	id := machine.ID(host, "/dev/shm/app")
package machine
