package collectors

import (
	"context"
	"runtime/debug"

	"github.com/multiprom/multiprom/metric"
)

// BuildInfo yields go_build_info: path, version and checksum of the main
// module, as runtime/debug.ReadBuildInfo has them.
type BuildInfo struct{ labels metric.Labels }

var goBuild = declared{"go_build", "Build information about the main Go module.", metric.Info}

// NewBuildInfo returns a collector of this program's build information.
func NewBuildInfo() *BuildInfo {
	path, version, sum := "unknown", "unknown", "unknown"
	if bi, ok := debug.ReadBuildInfo(); ok {
		path, version, sum = bi.Main.Path, bi.Main.Version, bi.Main.Sum
	}
	return &BuildInfo{metric.MakeLabels("path", path, "version", version, "checksum", sum)}
}

// Collect returns go_build_info.
func (c *BuildInfo) Collect(context.Context) ([]*metric.Family, error) {
	return []*metric.Family{goBuild.family("", metric.Series{Labels: c.labels, Value: 1})}, nil
}

// Describe returns the family that Collect yields.
func (c *BuildInfo) Describe() []*metric.Family { return []*metric.Family{goBuild.family("")} }
