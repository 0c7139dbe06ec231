package pyfile

import (
	"bytes"
	"fmt"
	"io"

	"github.com/multiprom/multiprom/internal/mpm"
)

// Content is what a file is by its bytes, whatever its name.
type Content uint8

const (
	// Foreign is another program's file. It is never changed, renamed or removed.
	Foreign Content = iota
	// Nothing is a file without bytes, or with only zeros, like a client's file before its
	// first record. Whatever program created it, it has nothing to lose.
	Nothing
	// Records are those of client_python or GitLab's client for Ruby, perhaps damaged.
	Records
)

// Look opens a file and returns what it is by its name and its content. A file whose name
// client_python does not use is Foreign. The error is one of mpm.Dir.OpenFile's.
func Look(d *mpm.Dir, name string, opts mpm.ReadOptions) (Content, error) {
	f, size, err := d.OpenFile(name, opts)
	if err != nil {
		return Foreign, err
	}
	defer f.Close()
	if _, err := ParseName(name); err != nil {
		return Foreign, nil
	}
	return contentOf(f, size)
}

// Remove unlinks a file. If its name or content is Foreign, it stays, and the error matches
// mmapstore.ErrForeign. A missing file is no error.
func Remove(d *mpm.Dir, name string) error {
	if _, err := ParseName(name); err != nil {
		return err
	}
	return d.RemoveIf(name, recognize)
}

// SetAside renames a file so that no process of client_python opens it again
// (mpm.Dir.SetAside). The error matches mmapstore.ErrForeign if the name or content is
// Foreign.
func SetAside(d *mpm.Dir, name string) (mpm.Entry, error) {
	if _, err := ParseName(name); err != nil {
		return mpm.Entry{}, err
	}
	return d.SetAside(name, recognize)
}

// Restore gives a file that was set aside its old name, like mpm.Dir.Restore.
func Restore(d *mpm.Dir, name string) error {
	if _, err := ParseName(name); err != nil {
		return err
	}
	return d.Restore(name, recognize)
}

// recognize is the mpm.Recognizer of these files.
func recognize(f io.ReaderAt, size int64) error {
	content, err := contentOf(f, size)
	if err == nil && content == Foreign {
		err = errForeign
	}
	return err
}

var errForeign = fmt.Errorf("%w: nothing in it is of client_python", mpm.ErrForeign)

// maxEmpty is the maximal size of a client's file before its first record.
const maxEmpty = 1 << 20

// firstRecord is where the key of the first record begins.
const firstRecord = headerSize + 4

// contentOf distinguishes files of client_python from all others. A client's file begins
//
//	int32 used | 4 zero bytes | int32 length of the key | ["family", "sample", {…
//
// Hardly any other file does. If one of the numbers is damaged, the key still identifies
// the file. If the file was truncated within the first key, both numbers must be possible.
// If the key is damaged, its end and the spaces after it identify the file, or a later key
// that the lengths lead to.
func contentOf(f io.ReaderAt, size int64) (Content, error) {
	var head [firstRecord]byte
	n, err := f.ReadAt(head[:], 0)
	if err != nil && err != io.EOF {
		return Foreign, err
	}
	size = min(size, 1<<31) // the length in use cannot be larger
	if size <= maxEmpty && (n < 4 || native.Uint32(head[:]) == 0 || native.Uint32(head[:]) == headerSize) {
		zero, err := mpm.IsZero(f, min(4, int64(n)), size)
		if err != nil {
			return Foreign, err
		}
		if zero && (n >= 4 || head == [firstRecord]byte{}) {
			return Nothing, nil
		}
	}
	if n < len(head) {
		return Foreign, nil
	}
	if native.Uint32(head[4:]) == 0 {
		whole, cut, err := keyAt(f, size)
		used, length := int32(native.Uint32(head[:])), int32(native.Uint32(head[headerSize:]))
		if err != nil || whole || cut && used >= headerSize && length > 0 {
			return Records, err
		}
	}
	for _, stride := range []int64{strideTimed, strideSimple} {
		found, err := leadsToKey(f, size, stride)
		if err != nil || found {
			return Records, err
		}
	}
	return Foreign, nil
}

// maxKeyLook is how much of a possible key is read, which bounds the cost of another
// program's file. Longer keys are recognized by their beginning and end.
const maxKeyLook = 1 << 20

// keyAt reports whether there is a key at firstRecord: a whole one, or one that is cut by
// the end of the file or by maxKeyLook.
func keyAt(f io.ReaderAt, size int64) (whole, cut bool, err error) {
	size = min(size, firstRecord+maxKeyLook)
	for n := int64(4 << 10); ; n *= 4 {
		b := make([]byte, min(n, size-firstRecord))
		if n, err := f.ReadAt(b, firstRecord); err == io.EOF {
			b, size = b[:n], firstRecord+int64(n)
		} else if err != nil {
			return false, false, err
		}
		if len(b) < 2 || b[0] != '[' || b[1] != '"' {
			return false, false, nil
		}
		s := scanner{b: string(b)}
		s.key()
		switch {
		case !s.bad:
			return true, false, nil
		case len(s.b) > 0:
			return false, false, nil
		case firstRecord+int64(len(b)) == size:
			return false, true, nil
		}
	}
}

// isKey reports whether the n bytes at off are a key, followed by spaces up to end. If the
// key is damaged or too long to be read, its beginning, its end and the spaces decide.
func isKey(f io.ReaderAt, off, n, end int64) (bool, error) {
	if n <= maxKeyLook {
		b := make([]byte, n)
		if _, err := f.ReadAt(b, off); err != nil {
			return false, err
		}
		if _, err := parseKey(string(b)); err == nil {
			return true, nil
		}
	}
	if n <= 2 {
		return false, nil
	}
	var first [1]byte
	last := make([]byte, end-off-n+1)
	if _, err := f.ReadAt(first[:], off+1); err != nil {
		return false, err
	}
	if _, err := f.ReadAt(last, off+n-1); err != nil {
		return false, err
	}
	return first[0] == '"' && last[0] == ']' && len(bytes.Trim(last[1:], " ")) == 0, nil
}

// leadsToKey reports whether the lengths of the first few records lead to a key.
func leadsToKey(f io.ReaderAt, size, stride int64) (bool, error) {
	off := int64(headerSize)
	for range 16 {
		var head [5]byte
		if _, err := f.ReadAt(head[:], off); err != nil {
			return false, unlessEOF(err)
		}
		n := int64(int32(native.Uint32(head[:])))
		if n <= 0 || n > size-off-4 {
			return false, nil
		}
		next := off + int64(recordSize(int(n)))
		if head[4] == '[' && next <= size {
			found, err := isKey(f, off+4, n, next)
			if err != nil || found {
				return found, unlessEOF(err)
			}
		}
		off = next + stride
	}
	return false, nil
}

func unlessEOF(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}
