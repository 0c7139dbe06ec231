// Package environ has the names of the environment variables that configure a process, for
// the packages that read them and those that set them for others. docs/lifecycle.md says
// what they do.
package environ

const (
	Dir       = "PROMETHEUS_MULTIPROC_DIR"
	DirLower  = "prometheus_multiproc_dir" // client_python's old spelling
	ProcessID = "MULTIPROM_PROCESS_ID"
	FileMode  = "MULTIPROM_FILE_MODE" // in octal
	TTL       = "MULTIPROM_TTL"       // a Go duration, and more by name
)
