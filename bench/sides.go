package main

import "sync"

// loop is a side whose run is a loop. Callers write the loop out, so that the compiler sees
// the same code as in a program. A function value called per operation would cost as much
// as the operation.
func loop(name string, run func(n int)) side { return side{name: name, run: run} }

// cycle is a side that goes through a list of size elements. Each sample continues where
// the previous one stopped, and starts again at the end of the list.
func cycle(name string, size int, run func(from, to int)) side {
	at := 0
	return side{name: name, run: func(n int) {
		for n > 0 {
			to := min(size, at+n)
			run(at, to)
			n -= to - at
			if at = to; at == size {
				at = 0
			}
		}
	}}
}

// both is a side in which two goroutines share n operations.
func both(name string, run func(n int)) side {
	return bothOf(name, func(_, n int) { run(n) })
}

// bothOf is both with goroutines numbered 0 and 1.
func bothOf(name string, run func(goroutine, n int)) side {
	return side{name: name, run: func(n int) {
		var wg sync.WaitGroup
		wg.Go(func() { run(1, n/2) })
		run(0, n-n/2)
		wg.Wait()
	}}
}
