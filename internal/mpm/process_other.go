//go:build !linux

package mpm

// stateOf is known on Linux only.
func stateOf(*Header) processState { return processUnknown }
