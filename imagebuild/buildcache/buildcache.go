// Package buildcache says where results of slow builds are kept: outside of the work tree, and by
// content, so that they outlive clones.
package buildcache

import "os"

// Default is the directory unless SLIPWAY_CACHE names another one.
const Default = "/var/cache/slipway"

// Dir returns the directory of slow builds' results. Whoever uses it makes a folder of their own in
// it.
func Dir() string {
	if dir := os.Getenv("SLIPWAY_CACHE"); dir != "" {
		return dir
	}
	return Default
}
