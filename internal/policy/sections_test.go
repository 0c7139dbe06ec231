package policy

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	headingOfPage = regexp.MustCompile(`(?m)^#+ (.+)$`)
	codeOfPage    = regexp.MustCompile("(?ms)^ *```.*?^ *```$")
	anchorLink    = regexp.MustCompile(`\]\(([^)#:\s]*)#([^)\s]+)\)`)
	namedSection  = regexp.MustCompile(`([\w/.-]+\.md)(?:\]\(([^)#:\s]+)\))?,\s+"([^"]+)"`)
	sectionHere   = regexp.MustCompile(`\b[Ss]ee\s+"([^"]+)"`)
	lineOfComment = regexp.MustCompile(`\n\s*(?://|#) ?`)
)

// anchorOf is the anchor that a forge gives a heading.
func anchorOf(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
			return unicode.ToLower(r)
		}
		return -1
	}, heading)
}

// TestSections: a link to an anchor leads to a heading, and a page has each section that another
// text names after it in quotes: in pages and in comments.
func TestSections(t *testing.T) {
	titles, anchors := map[string]map[string]bool{}, map[string]map[string]bool{}
	headings := func(page string) {
		if titles[page] != nil {
			return
		}
		titles[page], anchors[page] = map[string]bool{}, map[string]bool{}
		text, err := os.ReadFile(page)
		if err != nil {
			return // another test wants the file
		}
		for _, m := range headingOfPage.FindAllStringSubmatch(codeOfPage.ReplaceAllString(string(text), ""), -1) {
			titles[page][strings.ReplaceAll(m[1], "`", "")] = true
			anchors[page][anchorOf(m[1])] = true
		}
	}
	found := 0
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || d.Name() == ".git" || d.Name() == "dist") {
			return filepath.SkipDir
		}
		ext := filepath.Ext(path)
		if d.IsDir() || ext != ".md" && ext != ".go" && ext != ".py" || strings.HasSuffix(path, "sections_test.go") {
			return nil
		}
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		text := string(b)
		if ext == ".md" {
			headings(path)
			for _, m := range anchorLink.FindAllStringSubmatch(text, -1) {
				found++
				to := path
				if m[1] != "" {
					to = filepath.Join(filepath.Dir(path), filepath.FromSlash(m[1]))
				}
				if headings(to); filepath.Ext(to) == ".md" {
					assert.Contains(t, anchors[to], m[2], "%s links to it in %s", path, to)
				}
			}
			for _, m := range sectionHere.FindAllStringSubmatch(text, -1) {
				found++
				assert.Contains(t, titles[path], strings.Join(strings.Fields(m[1]), " "), "%s names a section", path)
			}
		} else {
			text = lineOfComment.ReplaceAllString(text, " ")
		}
		for _, m := range namedSection.FindAllStringSubmatch(text, -1) {
			found++
			to := filepath.Join(root, filepath.FromSlash(m[1])) // from the root, in comments
			if m[2] != "" {
				to = filepath.Join(filepath.Dir(path), filepath.FromSlash(m[2]))
			} else if _, err := os.Stat(to); err != nil {
				to = filepath.Join(root, "docs", filepath.Base(m[1]))
			}
			headings(to)
			assert.Contains(t, titles[to], strings.Join(strings.Fields(m[3]), " "), "%s names a section of %s", path, to)
		}
		return nil
	})
	require.NoError(t, err)
	require.Greater(t, found, 80, "the test does not find them")
	require.Equal(t, "i-have---do-this", anchorOf("I have … → do this"))
}
