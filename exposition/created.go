package exposition

import "strings"

// createdByEnv reports whether created times are served if the options say nothing.
func createdByEnv(getenv func(string) string) bool {
	switch strings.ToLower(getenv("PROMETHEUS_DISABLE_CREATED_SERIES")) {
	case "true", "t", "1":
		return false
	}
	return true
}
