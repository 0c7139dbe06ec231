package mmapstore

import "strings"

// FileKind is what the name of a file in the directory says that it is.
type FileKind uint8

const (
	KindOther   FileKind = iota // nothing of ours
	KindNative                  // <pid>-<incarnation>.mpm
	KindTemp                    // a native file that is being made, or was left so by a kill
	KindArchive                 // archive.mpm, and the temporary file that becomes it
	KindPython                  // client_python's <type>_<id>.db
)

// String returns a word for tables.
func (k FileKind) String() string {
	return [...]string{"other", "native", "temporary", "archive", "python"}[k]
}

// Names of the archive of folded files.
const (
	ArchiveName     = "archive.mpm"
	archiveTempName = "archive.mpm.tmp"
)

// Entry is one name in a directory.
type Entry struct {
	Name        string
	Kind        FileKind
	PID         int         // of native and temporary files
	Incarnation Incarnation // likewise
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
	case name == ArchiveName || name == archiveTempName:
		e.Kind = KindArchive
	case isPythonName(name):
		e.Kind = KindPython
	}
	return e
}

// isPythonName reports whether client_python names its files so.
func isPythonName(name string) bool {
	stem, ok := strings.CutSuffix(name, ".db")
	if !ok {
		return false
	}
	for _, prefix := range []string{"counter_", "summary_", "histogram_", "gauge_"} {
		if rest, ok := strings.CutPrefix(stem, prefix); ok && rest != "" {
			return true
		}
	}
	return false
}
