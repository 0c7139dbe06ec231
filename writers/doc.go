// Package writers has the writers of native files in other languages. docs/format.md specifies
// the files, and its chapter "Writing a writer" what a writer must do. `mpctl writer` prints
// the writers; docs/client_python.md says how to use the one for Python.
//
//	python/multiprom_client.py   prometheus_client's metrics in native files
package writers

import _ "embed"

// Python is the module multiprom_client: pure Python for CPython 3.9 or later.
//
//go:embed python/multiprom_client.py
var Python string
