package mpm

import (
	"os"
	"slices"
)

// Trust returns whose files in the directory are read: one's own, root's, those
// of the directory's owner, and those of further users. An owner who has no
// number in this process's user namespace is not trusted.
func (d *Dir) Trust(further []int) (func(uid int) bool, error) {
	info, err := d.Stat()
	if err != nil {
		return nil, err
	}
	uids := append([]int{0, os.Geteuid(), d.owner(info)}, further...)
	return func(uid int) bool { return uid != nobody && slices.Contains(uids, uid) }, nil
}

// TrustIn is Trust for the directory of that path.
func TrustIn(path string, further []int) (func(uid int) bool, error) {
	d, err := OpenDir(path)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.Trust(further)
}
