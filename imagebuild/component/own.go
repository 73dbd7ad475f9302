package component

// own are the images that a site has beside ours: its recipes go here, its build modules beneath
// sources. "docs/images.md" shows one from its recipe to the signed lock.
func own() []Recipe { return nil }
