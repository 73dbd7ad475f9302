// Package mirror reads objects and blobs by digest from one or several registries that should all
// hold the same: it asks the healthy one first, lets one that fails cool down, goes on at another
// where a connection broke or stalled, and keeps within a bandwidth. What it hands out is not
// verified yet, except for small objects.
package mirror
