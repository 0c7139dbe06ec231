package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/multiprom/multiprom/supervisor"
)

// Exit codes, documented in doc.go and in `mpctl --help`.
const (
	exitOK    = 0
	exitNo    = 1 // the command worked, and its answer is no
	exitError = 2 // the command could not do its work
)

// errNo is the answer no, if the command has printed the reason already.
var errNo = errors.New("no")

// refusal is the answer no, with a reason that run prints.
type refusal struct{ error }

func refuse(format string, args ...any) error { return refusal{fmt.Errorf(format, args...)} }

// Is makes it match errNo.
func (refusal) Is(target error) bool { return target == errNo }

func (r refusal) Unwrap() error { return r.error }

func main() {
	supervisor.MaybeShim()
	os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}

// run is main with arguments and outputs as parameters, for tests.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errNo):
		if err != errNo {
			fmt.Fprintln(stderr, "mpctl:", printable(err.Error()))
		}
		return exitNo
	}
	said := strings.ReplaceAll(strings.TrimSpace(err.Error()), "\n\t", "\n  ") // cobra's suggestions begin with a tab
	fmt.Fprintln(stderr, "mpctl:", printable(said))
	return exitError
}

// helpWidth is the number of columns of every help text.
const helpWidth = 80

// survivePipe keeps a server alive when the reader of its log goes away: by default, Go
// ends a program that writes to a stdout or stderr without a reader. It catches the
// signal instead of ignoring it, since exec would pass an ignored signal on.
func survivePipe() { signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) }

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "mpctl",
		Short: "metrics for programs that run as many processes",
		Long: `mpctl works on a directory in which each process keeps its metrics in a
memory-mapped file. It merges these files into one /metrics.

Most commands take this directory as the argument DIR. Those whose arguments are
something else, such as names of metrics (dump, diff, replay), take it by --dir.
Without either, it is $PROMETHEUS_MULTIPROC_DIR.

Exit codes: 0 success; 1 the answer is no (check found damage, the demo was not
exact, a living process is in the way); 2 the command could not do its work.`,
		Example: `  mpctl demo --kill --duration 10s
  mpctl serve /dev/shm/app --web.listen-address 127.0.0.1:9090
  mpctl ls /dev/shm/app`,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return &usageError{cmd, err} })
	root.AddCommand(newDemo(), newDemoWorker(), newRun(), newServe(), newDump(), newDiff(), newTop(), newReplay(), newLs(), newFamilies(), newInspect(), newCheck(), newPush(), newTextfile(), newGraphite(), newRemoteWrite(), newOTLP(), newMarkDead(), newGC(), newWipe(), newWriter(), newMan(), newVersion())
	for _, cmd := range root.Commands() {
		argumentsNotEmpty(cmd)
	}
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), "FlagUsages", fmt.Sprintf("FlagUsagesWrapped %d", helpWidth)))
	return root
}
