package prefork

import (
	"fmt"
	"path/filepath"

	"github.com/multiprom/multiprom/multiproc"
)

// Child makes this process a worker: it opens the file of the default Set, so that
// every instrument without labels is there as 0 before the first request. The error
// says why it cannot, or is ErrNoDir; a server that prefers to serve goes on, and its
// metrics stay in the process.
func Child(opts Options) (*Process, error) {
	set := multiproc.Default()
	dir := set.Dir()
	if dir == "" {
		return nil, ErrNoDir
	}
	if opts.Dir != "" && !sameDir(dir, opts.Dir) {
		return nil, fmt.Errorf("prefork: the child's %s is %s, not %s: call Master before children start", multiproc.EnvDir, dir, opts.Dir)
	}
	if err := set.Open(); err != nil {
		return nil, fmt.Errorf("prefork: child: %w", err)
	}
	return &Process{dir: dir, close: set.Close}, nil
}

func sameDir(a, b string) bool {
	a, errA := filepath.Abs(a)
	b, errB := filepath.Abs(b)
	return errA == nil && errB == nil && a == b
}
