// Package labelkey encodes labels as a key: bytes that are different for different labels.
//
//	key := labelkey.Append(nil, labels)
//	labels = labelkey.Labels(nil, string(key))
package labelkey
