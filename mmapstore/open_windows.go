package mmapstore

import "os"

func openRegular(path string) (*os.File, error) { return os.Open(path) }

// ownerUID returns the uid of every file: Windows has none.
func ownerUID(os.FileInfo) int { return os.Getuid() }
