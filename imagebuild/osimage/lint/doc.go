// Package lint holds an OS layer, or a derived image, against what its importers on a node (rpm-ostree,
// bootc) do with it. Each rule has a name, a file and a test of its own; a finding says where it is, what happens
// on the node, and what to do instead. The rules of bootc's own `container lint` keep their names.
package lint
