package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"

	"golang.org/x/term"
)

// table prints a header and rows in aligned columns.
func table(w io.Writer, header []string, rows [][]string) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, strings.Join(header, "\t"))
	for _, row := range rows {
		for i := range row {
			row[i] = printable(row[i])
		}
		fmt.Fprintln(tw, strings.Join(row, "\t"))
	}
	return tw.Flush()
}

// printJSON prints v as one indented JSON document.
func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// printable escapes control sequences: names and labels come from files that other
// users may have written.
func printable(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if r == '\n' || unicode.IsPrint(r) {
			b.WriteRune(r)
		} else {
			q := strconv.QuoteRuneToASCII(r)
			b.WriteString(q[1 : len(q)-1])
		}
	}
	return b.String()
}

// aboutFile is an error whose message starts with the path of its file and names the
// file only once.
type aboutFile struct {
	path string
	error
}

func (e *aboutFile) Error() string { return e.path + ": " + reason(e.path, e.error) }

func (e *aboutFile) Unwrap() error { return e.error }

// reason returns the message of an error about a file without its path, for a line
// that already has the path.
func reason(path string, err error) string {
	var system *fs.PathError
	if errors.As(err, &system) && system.Path == path {
		return system.Op + ": " + system.Err.Error()
	}
	s := strings.TrimPrefix(err.Error(), path+": ")
	if !strings.ContainsAny(path, `./\`) {
		return s // it may be a word or a part of one
	}
	s = strings.ReplaceAll(s, path, "it")
	return strings.ReplaceAll(s, " "+filepath.Base(path)+" ", " it ")
}

// isTerminal reports whether w is a terminal. Progress is shown only there.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != ""
}

// widthOf returns how many columns there are: what is read by a program has no limit.
func widthOf(w io.Writer) int {
	if !isTerminal(w) {
		return math.MaxInt
	}
	columns, _, err := term.GetSize(int(w.(*os.File).Fd()))
	if err != nil || columns <= 0 {
		return helpWidth
	}
	return columns
}

// plural returns "1 file", "3 files", "2 families" or "2 processes".
func plural(n int, noun string) string {
	switch stem, y := strings.CutSuffix(noun, "y"); {
	case n == 1:
	case y:
		noun = stem + "ies"
	case strings.HasSuffix(noun, "s"):
		noun += "es"
	default:
		noun += "s"
	}
	return strconv.Itoa(n) + " " + noun
}
