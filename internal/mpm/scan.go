package mpm

// FileKind is the kind of a file in the directory according to its name.
type FileKind uint8

const (
	KindOther   FileKind = iota // any other file
	KindNative                  // <pid>-<incarnation>.mpm
	KindTemp                    // a native file that is being created, or that a kill left unfinished
	KindArchive                 // archive.mpm, and the temporary file that replaces it
	KindPython                  // *.db, like client_python's files; package pyfile checks whether it is one
)

// String returns a word for tables.
func (k FileKind) String() string {
	if names := [...]string{"other", "native", "temporary", "archive", "python"}; int(k) < len(names) {
		return names[k]
	}
	return "other"
}

// Names of the archive, and of the file that becomes the next archive.
const (
	ArchiveName = "archive.mpm"
	StagedName  = "archive.mpm.tmp"
)

// Entry is one name in a directory.
type Entry struct {
	Name        string
	Kind        FileKind
	PID         int         // of native and temporary files
	Incarnation Incarnation // likewise, and of client_python's files that were set aside
}

// ScanDir lists dir in bytewise order of the names. It opens no file.
func ScanDir(dir string) ([]Entry, error) {
	d, err := OpenDir(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.Entries()
}

func classify(name string) Entry {
	if pid, inc, ok := parseName(name, "", ".mpm"); ok {
		return Entry{name, KindNative, pid, inc}
	}
	if pid, inc, ok := parseName(name, ".", ".tmp"); ok {
		return Entry{name, KindTemp, pid, inc}
	}
	e := Entry{Name: name}
	switch {
	case name == ArchiveName || name == StagedName:
		e.Kind = KindArchive
	case isPythonName(name):
		e.Kind = KindPython
		_, e.Incarnation, _ = SplitDeadName(name)
	}
	return e
}
