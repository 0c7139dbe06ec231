package mpfasthttp

import (
	"os"

	"github.com/valyala/fasthttp/prefork"

	mpprefork "github.com/multiprom/multiprom/compat/prefork"
)

// Prefork sets up this process as the master or as a child of p, whichever it is;
// call it once, in both, before p.ListenAndServe. The hooks that p has are called
// still. In a child without OnMasterDeath it sets one that exits with status 1:
// without it, children outlive their master and keep the port.
//
// The error is one of mpprefork.Master or mpprefork.Child. The Process needs no
// Close where the process ends.
func Prefork(p *prefork.Prefork, opts mpprefork.Options) (*mpprefork.Process, error) {
	if prefork.IsChild() {
		process, err := mpprefork.Child(opts)
		if err == nil && p.OnMasterDeath == nil {
			p.OnMasterDeath = func() {
				process.Close()
				os.Exit(1)
			}
		}
		return process, err
	}
	master, err := mpprefork.Master(opts)
	if err != nil {
		return nil, err
	}
	spawned, recovered := p.OnChildSpawn, p.OnChildRecover
	p.OnChildSpawn = func(pid int) error {
		master.Forked(pid)
		if spawned == nil {
			return nil
		}
		return spawned(pid)
	}
	p.OnChildRecover = func(oldPID, newPID int) {
		master.Died(oldPID)
		if recovered != nil {
			recovered(oldPID, newPID)
		}
	}
	return master, nil
}
