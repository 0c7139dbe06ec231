package mpm

import "os"

// links: the system does not say cheaply, and a file that is in use cannot be replaced.
func links(os.FileInfo) uint64 { return 1 }
