package access

import "github.com/multiprom/multiprom/internal/mpm"

// FromStore returns a view of one store of this process, an *aggregate.Aggregator: the same
// families in the same form as those of a directory. opts are aggregate.Options; invalid
// ones panic. It needs no Close.
var FromStore func(store *mpm.Store, opts any) any
