package main

import (
	"fmt"
	"io/fs"
	"strconv"
)

// modeFlag is a flag with permissions in octal.
type modeFlag struct {
	mode  fs.FileMode
	text  string
	parse func(octal string) (fs.FileMode, error)
}

// String, Type and Set make it a flag.
func (f *modeFlag) String() string { return f.text }
func (f *modeFlag) Type() string   { return "mode" }

func (f *modeFlag) Set(octal string) (err error) {
	f.text = octal
	f.mode, err = f.parse(octal)
	return err
}

// parseDirMode parses a directory's permissions as chmod does, including the setgid
// and sticky bits.
func parseDirMode(octal string) (fs.FileMode, error) {
	n, err := strconv.ParseUint(octal, 8, 32)
	if err != nil || n&^0o3777 != 0 {
		return 0, fmt.Errorf("%q is not octal, like 2770", octal)
	}
	if n&0o700 != 0o700 {
		return 0, fmt.Errorf("with %q its owner could not use it", octal)
	}
	mode := fs.FileMode(n) & fs.ModePerm
	if n&0o2000 != 0 {
		mode |= fs.ModeSetgid
	}
	if n&0o1000 != 0 {
		mode |= fs.ModeSticky
	}
	return mode, nil
}
