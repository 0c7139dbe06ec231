package mpm

import "os"

func openRegular(path string) (*os.File, error) { return os.Open(path) }
func openToMark(path string) (*os.File, error)  { return os.OpenFile(path, os.O_RDWR, 0) }

// nobody is the owner of a file whose owner is not known.
const nobody = -2

// ownerUID returns the uid of every file: Windows has none.
func ownerUID(*os.File, os.FileInfo) int { return os.Getuid() }

func (d *Dir) giveToOwner(*os.File, os.FileInfo) error { return nil }
