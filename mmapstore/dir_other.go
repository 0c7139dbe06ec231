//go:build !linux

package mmapstore

import (
	"os"
	"path/filepath"
	"runtime"
)

// directory is an open directory. os.Root keeps every name inside it.
type directory struct {
	path string
	root *os.Root
}

func openDir(path string) (*directory, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	return &directory{path, root}, nil
}

func (d *directory) close() error { return d.root.Close() }

func (d *directory) join(name string) string { return filepath.Join(d.path, name) }

func (d *directory) create(name string, mode os.FileMode) (*os.File, error) {
	return d.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, mode)
}

func (d *directory) open(name string) (*os.File, error) { return d.root.Open(name) }

// rename gives a file its final name. A name with 128 random bits is not
// taken. Windows does not rename an open file: there a link makes the name.
func (d *directory) rename(from, to string) error {
	if runtime.GOOS == "windows" {
		return d.root.Link(from, to)
	}
	return d.root.Rename(from, to)
}

func (d *directory) remove(name string) error { return d.root.Remove(name) }
