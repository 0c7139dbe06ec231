package main

import (
	"os/exec"
	"syscall"
)

// confine has a program run in the files of an image, as the image's user.
func confine(cmd *exec.Cmd, root string) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: 65532, Gid: 65532}}
}
