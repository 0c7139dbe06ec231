package multiprom

import (
	"errors"
	"net/http"
	"os"

	"github.com/multiprom/multiprom/exposition"
	"github.com/multiprom/multiprom/multiproc"
	"github.com/multiprom/multiprom/registry"
)

// Open makes this process a worker: it gives it a file for its metrics in the directory,
// which must exist. It is best on a tmpfs, such as in /dev/shm. Open sets
// PROMETHEUS_MULTIPROC_DIR, so that processes that this one starts use the directory too. If
// dir is empty, the variable says which directory it is; if there is none, the metrics stay
// in memory and are of this process only.
//
// Call it once, early in each worker, but not in a process that only starts workers or only
// serves their metrics. The error is that of multiproc.Open. The program can go on after one:
// then its metrics stay in memory.
func Open(dir string) error {
	if dir == "" {
		return multiproc.Open()
	}
	before, set := os.LookupEnv(multiproc.EnvDir)
	if err := os.Setenv(multiproc.EnvDir, dir); err != nil {
		return err
	}
	err := multiproc.Open()
	if errors.Is(err, multiproc.ErrTooLate) { // the directory is another one, and stays so
		if set {
			err = errors.Join(err, os.Setenv(multiproc.EnvDir, before))
		} else {
			err = errors.Join(err, os.Unsetenv(multiproc.EnvDir))
		}
	}
	return err
}

// Handler returns the handler of /metrics: the merged metrics of all processes of the
// directory, and those of the collectors that are registered with registry.Default. Without
// a directory it has the metrics of this process. It negotiates the format and compresses.
func Handler() http.Handler { return exposition.Handler(registry.Default()) }
