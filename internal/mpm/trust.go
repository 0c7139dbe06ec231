package mpm

import (
	"os"
	"slices"
)

// Trust returns a function that reports whether files of a user are read: this process's own
// user, root, the directory's owner, and the given users. An owner without a number in this
// process's user namespace is not trusted.
func (d *Dir) Trust(further []int) (func(uid int) bool, error) {
	info, err := d.Stat()
	if err != nil {
		return nil, err
	}
	uids := append([]int{0, os.Geteuid(), d.owner(info)}, further...)
	return func(uid int) bool { return uid != nobody && slices.Contains(uids, uid) }, nil
}

// TrustIn is Trust for the directory with that path.
func TrustIn(path string, further []int) (func(uid int) bool, error) {
	d, err := OpenDir(path)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.Trust(further)
}
