package conductor

import "slipway.build/slipway/imagebuild/lock"

// Trust is what every node is told to run from: the signed lock and where the images are.
type Trust struct {
	Locked     *lock.Lock
	Digest     string   // of the lock's canonical bytes
	Registries []string // base URLs in the order in which they are tried
}
