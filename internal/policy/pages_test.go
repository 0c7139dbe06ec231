package policy

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestArchitecture: every file and directory that ARCHITECTURE.md names exists, and each test
// that it names.
func TestArchitecture(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root, "ARCHITECTURE.md"))
	require.NoError(t, err)
	names := map[string]bool{}
	for _, s := range sources(t) {
		names[filepath.Base(s.path)] = true
	}
	names["options_test.go"] = true
	found := 0
	for _, m := range regexp.MustCompile("`([a-z][a-z/_]*(?:\\.go)?)`").FindAllStringSubmatch(string(page), -1) {
		name := m[1]
		if !strings.Contains(name, "/") && !strings.HasSuffix(name, ".go") {
			continue // a package, a word of the code or of a file
		}
		if strings.Contains(name, "/") {
			_, err := os.Stat(filepath.Join(root, filepath.FromSlash(name)))
			require.NoError(t, err, "ARCHITECTURE.md names it")
		} else {
			// Of a directory that the text names before it.
			require.Contains(t, names, name, "ARCHITECTURE.md names it")
		}
		found++
	}
	require.Greater(t, found, 30, "the test does not find the names")
	for _, name := range regexp.MustCompile(`\b(?:Test|Fuzz)[A-Z]\w+`).FindAllString(string(page), -1) {
		require.True(t, isTest(t, name), "ARCHITECTURE.md names %s, which is no test", name)
	}
}

// TestFilesOfDocs: every file that a list of a doc.go names is in the package.
func TestFilesOfDocs(t *testing.T) {
	found := 0
	for _, s := range sources(t) {
		if filepath.Base(s.path) != "doc.go" {
			continue
		}
		text, err := os.ReadFile(s.path)
		require.NoError(t, err)
		for _, line := range regexp.MustCompile(`(?m)^//\t(?:[a-z_]+\.go(?:, |  +|$))+`).FindAllString(string(text), -1) {
			for _, name := range regexp.MustCompile(`[a-z_]+\.go`).FindAllString(line, -1) {
				require.FileExists(t, filepath.Join(filepath.Dir(s.path), name), "%s names it", s.path)
				found++
			}
		}
	}
	require.Greater(t, found, 20, "the test does not find the names")
}

// isTest reports whether some test file has a function of that name.
func isTest(t *testing.T, name string) (found bool) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || found || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		found = found || strings.Contains(string(text), "func "+name+"(")
		return err
	})
	require.NoError(t, err)
	return found
}

// TestLinksOfPages: every relative link of a Markdown page leads to a file.
func TestLinksOfPages(t *testing.T) {
	found := 0
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || d.Name() == ".git") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".md") {
			return nil
		}
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		for _, m := range regexp.MustCompile(`\]\(([^)#:\s]+)(?:#[^)]*)?\)`).FindAllStringSubmatch(string(text), -1) {
			found++
			_, err := os.Stat(filepath.Join(filepath.Dir(path), filepath.FromSlash(m[1])))
			require.NoError(t, err, "%s links to it", path)
		}
		return nil
	})
	require.NoError(t, err)
	require.Greater(t, found, 50, "the test does not find the links")
}

// TestLengthOfFiles: a file that is much longer has more than one duty.
func TestLengthOfFiles(t *testing.T) {
	const most = 500
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || d.Name() == ".git") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") {
			return nil
		}
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		require.LessOrEqual(t, strings.Count(string(text), "\n"), most, "%s is too long: divide it", path)
		return nil
	})
	require.NoError(t, err)
}

// TestPagesAreReachable: every page is two clicks from the README at most. A link to a
// directory leads to all pages in it.
func TestPagesAreReachable(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:\s]+)(?:#[^)]*)?\)`)
	clicks := map[string]int{"README.md": 0}
	for at := 0; at < 2; at++ {
		for page, n := range clicks {
			if n != at {
				continue
			}
			text, err := os.ReadFile(filepath.Join(root, page))
			require.NoError(t, err)
			for _, m := range link.FindAllStringSubmatch(string(text), -1) {
				to := filepath.Join(filepath.Dir(page), filepath.FromSlash(m[1]))
				pages := []string{to}
				if info, err := os.Stat(filepath.Join(root, to)); err == nil && info.IsDir() {
					if pages, err = filepath.Glob(filepath.Join(root, to, "*.md")); err != nil {
						t.Fatal(err)
					}
					for i := range pages {
						pages[i], _ = filepath.Rel(root, pages[i])
					}
				}
				for _, p := range pages {
					if _, known := clicks[p]; !known && strings.HasSuffix(p, ".md") {
						clicks[p] = at + 1
					}
				}
			}
		}
	}
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || d.Name() == ".git") {
			return filepath.SkipDir
		}
		if page, _ := filepath.Rel(root, path); strings.HasSuffix(page, ".md") {
			require.Contains(t, clicks, page, "no link within two clicks from README.md leads to it: docs/README.md is the map")
		}
		return nil
	})
	require.NoError(t, err)
	require.Greater(t, len(clicks), 25)
}

// TestCompatCanBeFetched: users import compat, so it requires a version of the main module
// that a tag can have. docs/releasing.md has the rule.
func TestCompatCanBeFetched(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "compat", "go.mod"))
	require.NoError(t, err)
	m := regexp.MustCompile(`(?m)^\t` + regexp.QuoteMeta(module) + ` (v\S+)$`).FindStringSubmatch(string(text))
	require.NotNil(t, m)
	require.Regexp(t, `^v(0\.[1-9]\d*\.\d+|[1-9]\d*\.\d+\.\d+)$`, m[1])
}
