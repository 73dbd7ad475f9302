// Package buildcache says where results of slow builds are kept: outside of the work tree, and by
// content, so that they outlive clones.
package buildcache

import (
	"os"
	"path/filepath"
)

// Default is root's directory unless SLIPWAY_CACHE names another one.
const Default = "/var/cache/slipway"

// Dir returns the directory of slow builds' results: SLIPWAY_CACHE, or root's, or in the cache directory of
// a user who is not root (XDG_CACHE_HOME, or .cache at home). Whoever uses it makes a folder of their own in it.
func Dir() string {
	if dir := os.Getenv("SLIPWAY_CACHE"); dir != "" {
		return dir
	}
	return dirOf(os.Geteuid())
}

func dirOf(user int) string {
	if user == 0 {
		return Default
	}
	own, err := os.UserCacheDir()
	if err != nil {
		return Default // the first write says what is wrong with it
	}
	return filepath.Join(own, "slipway")
}
