package mpfiber

import (
	"github.com/gofiber/fiber/v2"

	"github.com/multiprom/multiprom/compat/prefork"
)

// Prefork sets up this process as the master or as a child of a prefork app,
// whichever it is; call it once, in both, before app.Listen. A process that does
// not prefork is a master that has only itself.
//
// The error is one of prefork.Master or prefork.Child. The Process needs no Close
// where the process ends.
func Prefork(app *fiber.App, opts prefork.Options) (*prefork.Process, error) {
	if fiber.IsChild() {
		return prefork.Child(opts)
	}
	master, err := prefork.Master(opts)
	if err != nil {
		return nil, err
	}
	// Fiber tells of births only: Forked finds out who has died meanwhile.
	app.Hooks().OnFork(func(pid int) error {
		master.Forked(pid)
		return nil
	})
	return master, nil
}
