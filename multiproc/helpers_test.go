package multiproc_test

import "unsafe"

// unsafeString shares the bytes, as fasthttp does.
func unsafeString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
