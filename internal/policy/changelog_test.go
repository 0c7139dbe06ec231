package policy

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

var (
	entryOfChangelog = regexp.MustCompile(`^- \[(FEATURE|CHANGE|DEPRECATED|FIX|SECURITY)\] ([^:]+): (.+[.])$`)
	metricInText     = regexp.MustCompile("`(multiprom_\\w+)")
	wordsOfChange    = regexp.MustCompile(`(?i)\b(now|no longer|any more|instead of|used to)\b`)
)

// TestChangelog: an entry is one line that names what it is about, no two entries are about
// the same, and metrics are those of the reference. As long as nothing has been released,
// there is nothing that could have changed.
func TestChangelog(t *testing.T) {
	read := func(name ...string) string {
		text, err := os.ReadFile(filepath.Join(append([]string{root}, name...)...))
		require.NoError(t, err)
		return string(text)
	}
	text, reference := read("CHANGELOG.md"), read("docs", "reference.md")
	released := regexp.MustCompile(`(?m)^## v?\d`).MatchString(text)
	_, list, ok := strings.Cut(text, "\n## ")
	require.True(t, ok)
	seen := map[string]bool{}
	for line := range strings.Lines(list) {
		line = strings.TrimSuffix(line, "\n")
		require.LessOrEqual(t, utf8.RuneCountInString(line), 120, line)
		require.False(t, strings.HasPrefix(line, "  "), "an entry is one line: %s", line)
		if !strings.HasPrefix(line, "-") {
			continue
		}
		m := entryOfChangelog.FindStringSubmatch(line)
		require.NotNil(t, m, "write - [KIND] package: sentence. %s", line)
		if !released {
			const say = "nothing has been released: say what there is, not what has changed: %s"
			require.Contains(t, []string{"FEATURE", "SECURITY"}, m[1], say, line)
			require.NotRegexp(t, wordsOfChange, m[3], say, line)
		}
		start := m[2] + ": " + strings.Join(strings.Fields(m[3])[:min(4, len(strings.Fields(m[3])))], " ")
		require.False(t, seen[start], "two entries begin alike: %s", start)
		seen[start] = true
		for _, name := range metricInText.FindAllStringSubmatch(line, -1) {
			require.Contains(t, reference, "`"+name[1], line)
		}
	}
	require.Greater(t, len(seen), 50)
}
