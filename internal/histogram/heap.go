package histogram

import (
	"iter"
	"slices"
)

// Heap is a RegionStore of regions that are in no file.
type Heap struct{ regions []Region }

// AddRegion adds a region.
func (h *Heap) AddRegion(r Region) *[RegionBuckets]uint64 {
	r.Counts = new([RegionBuckets]uint64)
	h.regions = append(h.regions, r)
	return r.Counts
}

// Regions yields all regions. A nil Heap has none.
func (h *Heap) Regions() iter.Seq[Region] {
	if h == nil {
		return slices.Values[[]Region](nil)
	}
	return slices.Values(h.regions)
}
