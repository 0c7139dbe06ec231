package supervisor

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/multiprom/multiprom/internal/mpm"
)

// modeBits are the bits that chmod can set on a directory.
const modeBits = fs.ModePerm | fs.ModeSetgid | fs.ModeSticky

// withDir makes the directory's path absolute and creates the directory.
func (o Options) withDir() (Options, error) {
	if o.Dir == "" {
		o.Dir = cmp.Or(lookup(o.Env, envDir), lookup(o.Env, envDirLower))
	}
	gid := -1
	if o.Group != "" {
		var err error
		if gid, err = lookupGID(o.Group); err != nil {
			return o, fmt.Errorf("%w: Group: %w", errOptions, err)
		}
	}
	if o.Dir == "" {
		return o, nil
	}
	o = o.withFileMode()
	mode := o.DirMode
	switch {
	case mode != 0:
	case o.Group != "":
		mode = 0o770 | fs.ModeSetgid
	default:
		mode = 0o700
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return o, fmt.Errorf("supervisor: Dir: %w", err)
	}
	made, err := makeDir(dir, mode, gid)
	if err != nil {
		return o, fmt.Errorf("supervisor: Dir: %w", err)
	}
	if asked := o.DirMode != 0 || o.Group != ""; !made && asked {
		warnOfOther(o.Logger, dir, mode, gid)
	}
	o.Dir, o.DirMode, o.gid = dir, mode, gid
	return o, nil
}

// restoreDir creates the directory again if it was removed, for example by a cleaner of
// temporary files or at the end of a login session. Without it no worker could open a
// file.
func (o *Options) restoreDir() {
	if o.Dir == "" {
		return
	}
	if info, err := os.Stat(o.Dir); err == nil && info.IsDir() {
		return
	}
	made, err := makeDir(o.Dir, o.DirMode, o.gid)
	switch {
	case err != nil: // keep the service running without its metrics
		o.Logger.Error("the directory has vanished and cannot be recreated", "dir", o.Dir, "error", err)
	case made:
		o.Logger.Warn("the directory had vanished and was recreated: what dead workers counted is lost; "+
			"running workers are not in the merged view until they are replaced", "dir", o.Dir)
	}
}

// withFileMode puts the files' mode into the workers' environment.
func (o Options) withFileMode() Options {
	if o.FileMode == 0 && o.Group != "" && lookup(o.Env, envFileMode) == "" {
		o.FileMode = 0o640
	}
	if o.FileMode != 0 {
		o.Env = append(slices.Clip(o.Env), envFileMode+"="+octal(o.FileMode))
	}
	return o
}

// octal returns a mode as written in the environment.
func octal(mode fs.FileMode) string { return fmt.Sprintf("%04o", uint32(mode)) }

// makeDir makes dir and its missing parents with this mode, whatever the umask is, and
// with this group unless it is -1. An existing directory stays as it is.
func makeDir(dir string, mode fs.FileMode, gid int) (made bool, err error) {
	err = os.Mkdir(dir, 0o700) // nobody else may enter before group and mode are set
	if parent := filepath.Dir(dir); errors.Is(err, fs.ErrNotExist) && parent != dir {
		if _, err := makeDir(parent, mode, gid); err != nil {
			return false, err
		}
		err = os.Mkdir(dir, 0o700)
	}
	if errors.Is(err, fs.ErrExist) {
		if info, err := os.Stat(dir); err == nil && info.IsDir() {
			return false, nil
		}
	}
	if err != nil {
		return false, err
	}
	if gid >= 0 {
		err = os.Lchown(dir, -1, gid)
	}
	if err == nil {
		err = os.Chmod(dir, mode) // after chown, which may clear bits
	}
	if err != nil {
		return false, errors.Join(err, os.Remove(dir))
	}
	return true, nil
}

// warnOfOther logs how an existing directory differs from the options. It does not
// change the directory, because somebody may have chosen its mode.
func warnOfOther(log *slog.Logger, dir string, mode fs.FileMode, gid int) {
	info, err := os.Stat(dir)
	if err != nil {
		return
	}
	if got := info.Mode() & modeBits; got != mode {
		log.Warn("the directory exists and keeps its mode", "dir", dir, "mode", got.String(), "asked", mode.String())
	}
	if got := groupOf(info); gid >= 0 && got != gid {
		log.Warn("the directory exists and keeps its group", "dir", dir, "gid", got, "asked", gid)
	}
}

// warnOfDir logs problems with the workers' directory.
func warnOfDir(log *slog.Logger, dir string) {
	if dir == "" {
		return
	}
	warnings, err := mpm.CheckDir(dir)
	if err != nil {
		log.Warn("cannot check the directory", "error", err)
	}
	for _, w := range warnings {
		log.Warn(w.Text)
	}
}

func lookupGID(name string) (int, error) {
	if gid, err := strconv.ParseUint(name, 10, 31); err == nil {
		return int(gid), nil
	}
	g, err := user.LookupGroup(name)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(g.Gid)
}
