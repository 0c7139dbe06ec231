package textfile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/multiprom/multiprom/exposition"
	"github.com/multiprom/multiprom/gather"
	"github.com/multiprom/multiprom/internal/untimed"
)

// Options of Write. The zero value is useful.
type Options struct {
	// Escaping says how names that are not legacy names are written. Default
	// underscores.
	Escaping exposition.Escaping
	// Labels are added to every series, except to a series that already has a label of
	// that name. Two applications whose files one node_exporter reads need them: both
	// have multiprom_files and the like, and node_exporter drops duplicates.
	// Default: none.
	Labels map[string]string
	// Created adds the time when each counter, histogram and summary started. By
	// default it is left out.
	Created bool
	// TempDir is where the temporary file is created. It must be on the target's
	// filesystem, or the file cannot be renamed. Default: the target's directory.
	TempDir string
	// Mode of the file. Default 0644, since node_exporter runs as another user.
	Mode fs.FileMode
}

// errName: node_exporter only reads files that end in .prom.
var errName = errors.New("the file name must end in .prom")

// errOtherFilesystem: the temporary directory is not on the target's filesystem.
var errOtherFilesystem = errors.New("the temporary directory is on another filesystem")

// Write gathers from g and replaces the file at path with the result. On an error,
// including one of the gatherer, the file stays as it was. The exception is an
// *exposition.OmissionError: some series were left out, such as those with a timestamp,
// for which node_exporter would skip the file, and everything else was written. Write
// is safe for concurrent use. If two calls write one file, the one that ends last wins.
func Write(ctx context.Context, path string, g gather.Gatherer, opts Options) error {
	if filepath.Ext(path) != ".prom" {
		return fmt.Errorf("textfile: %s: %w", path, errName)
	}
	if err := opts.check(); err != nil {
		return fmt.Errorf("textfile: %w", err)
	}
	families, err := g.Gather(ctx)
	if err != nil {
		return fmt.Errorf("textfile: %s is unchanged: %w", path, err)
	}
	contentType := exposition.ContentType{Escaping: opts.Escaping}
	text, omitted := untimed.Append(opts.labelled(families), exposition.Options{ContentType: contentType, Created: opts.Created})
	if err := opts.replace(ctx, path, text); err != nil {
		return fmt.Errorf("textfile: write %s: %w", path, err)
	}
	if omitted != nil {
		return fmt.Errorf("textfile: everything else is in %s: %w", path, omitted)
	}
	return nil
}

// replace replaces the file with text.
func (o Options) replace(ctx context.Context, path string, text []byte) (err error) {
	dir := filepath.Dir(path)
	if o.TempDir != "" {
		dir = o.TempDir
	}
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*.tmp")
	if err != nil && o.TempDir != "" {
		return fmt.Errorf("TempDir: %w", err)
	} else if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if err := errors.Join(o.fill(f, text), f.Close(), ctx.Err()); err != nil {
		return err
	}
	err = os.Rename(f.Name(), path)
	if errors.Is(err, syscall.EXDEV) {
		return fmt.Errorf("%w: %w", errOtherFilesystem, err)
	}
	return err
}

func (o Options) fill(f *os.File, text []byte) error {
	mode := o.Mode
	if mode == 0 {
		mode = 0o644
	}
	if err := f.Chmod(mode); err != nil {
		return err
	}
	if _, err := f.Write(text); err != nil {
		return err
	}
	return f.Sync()
}
