//go:build !race

package multiproc_test

const raceEnabled = false
