package components

import "slipway.build/slipway/agent/plan"

// importHost is the registry part of references under which verified images are given to
// containerd. No such host exists, so a reference that was not imported cannot be pulled.
const importHost = "slipway.local"

// imported returns img with the reference that pods use. Its images, pause (which holds the
// namespaces of each pod) and coredns, have no unit.
func imported(img plan.Image) plan.Image {
	img.Import = importHost + "/" + img.Name + "@" + img.Digest
	return img
}
