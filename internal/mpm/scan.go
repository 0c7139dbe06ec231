package mpm

// FileKind is what the name of a file in the directory says that it is.
type FileKind uint8

const (
	KindOther   FileKind = iota // nothing of ours
	KindNative                  // <pid>-<incarnation>.mpm
	KindTemp                    // a native file that is being made, or was left so by a kill
	KindArchive                 // archive.mpm, and the temporary file that becomes it
	KindPython                  // *.db, as client_python looks for its files: package pyfile tells whether it is one
)

// String returns a word for tables.
func (k FileKind) String() string {
	if names := [...]string{"other", "native", "temporary", "archive", "python"}; int(k) < len(names) {
		return names[k]
	}
	return "other"
}

// Names of the archive of compacted files, and of the file that becomes the next one.
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
