package access

import "github.com/multiprom/multiprom/gather"

// Restrict is registry.Restrict with a function that says which names are asked for.
var Restrict func(g gather.Gatherer, asked func(name string) bool) gather.Gatherer
