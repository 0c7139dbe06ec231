package supervisor

import (
	"errors"
	"fmt"
	"os"
)

// Windows has neither inheritable listeners nor SIGTERM. checkPlatform makes New fail;
// the rest only makes the package compile.
const kernelTellsOrphans = false

func checkPlatform(Options) error {
	return fmt.Errorf("supervisor: %w", errors.ErrUnsupported)
}

type launcher struct{}

func newLauncher(bool, bool) (*launcher, error)      { return nil, errors.ErrUnsupported }
func (*launcher) start(processSpec) (process, error) { return nil, errors.ErrUnsupported }
func (*launcher) close()                             {}

func dupSocket(int, bool) (int, error) { return -1, errors.ErrUnsupported }
func newLink() (*os.File, int, error)  { return nil, 0, errors.ErrUnsupported }
func linkFile(fd int) *os.File         { return os.NewFile(uintptr(fd), "link") }
func closeFD(int)                      {}
func closeOnExec(int)                  {}

func processesWith(string) []int { return nil }

func groupOf(os.FileInfo) int { return -1 }
