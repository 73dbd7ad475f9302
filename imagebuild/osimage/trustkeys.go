package osimage

import (
	"slices"
	"strings"

	"slipway.build/slipway/imagebuild/lock"
)

// trustKeys returns the keys as the layer has them: each once with its id above it, sorted by that. The layer follows from
// the keys alone, whatever the file that they come from has beside them, and in what order.
func trustKeys(data []byte) ([]byte, error) {
	keys, err := lock.PublicKeys(data)
	if err != nil {
		return nil, err
	}
	var all []string
	for _, key := range keys {
		text, err := lock.EncodePublicKey(key)
		if err != nil {
			return nil, err
		}
		all = append(all, "slipway lock key "+lock.KeyID(key)+"\n"+text)
	}
	slices.Sort(all)
	return []byte(strings.Join(slices.Compact(all), "")), nil
}
