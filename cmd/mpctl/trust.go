package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/multiprom/multiprom/internal/listen"
	"github.com/multiprom/multiprom/internal/mpm"
)

// trustFlag is the flag --trust-uid: users by name or number.
type trustFlag []int

// add adds the flag to a command.
func (f *trustFlag) add(cmd *cobra.Command) {
	cmd.Flags().Var(f, "trust-uid", "also read the files of this user, by name or number; may be repeated")
}

// String, Type and Set make it a flag.
func (f *trustFlag) String() string {
	var s []string
	for _, uid := range *f {
		s = append(s, strconv.Itoa(uid))
	}
	return strings.Join(s, ",")
}

func (f *trustFlag) Type() string { return "user" }

func (f *trustFlag) Set(value string) error {
	for name := range strings.SplitSeq(value, ",") {
		uid, err := lookupUID(name)
		if err != nil {
			return err
		}
		*f = append(*f, uid)
	}
	return nil
}

func lookupUID(name string) (int, error) {
	if uid, err := strconv.ParseUint(name, 10, 32); err == nil {
		return int(uid), nil
	}
	if name == "" {
		return 0, errEmpty
	}
	u, err := user.Lookup(name)
	if err != nil {
		return 0, fmt.Errorf("%w: give the name of a user, or its number", err)
	}
	uid, err := strconv.Atoi(u.Uid) // not a number on Windows
	if err != nil {
		return 0, fmt.Errorf("user %s has no number", name)
	}
	return uid, nil
}

// warnOfDir logs the warnings of CheckDir about a directory, which may not exist yet.
func warnOfDir(log *slog.Logger, dir string) {
	warnings, err := mpm.CheckDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if path, err := filepath.Abs(dir); err == nil {
			dir = path
		}
		log.Warn("the directory does not exist: scrapes fail until a process has made it; is this the right name?", "dir", dir)
	case err != nil:
		log.Warn("cannot check the directory", "error", err)
	}
	for _, w := range warnings {
		log.Warn(w.Text)
	}
}

// warnOfPublic warns if anyone who can reach this machine may scrape.
func warnOfPublic(log *slog.Logger, a net.Addr, remedy string) {
	if listen.IsPublic(a) {
		log.Warn("metrics are open to all interfaces, without authentication: "+remedy, "address", a.String())
	}
}
