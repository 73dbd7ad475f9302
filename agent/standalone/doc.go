// Package standalone takes the place of the control plane on a node that has none: it says which
// plan keys the node believes (those of a file that only root may write), gives the node its
// identity, takes its signals into the log, and refuses what only a control plane can do.
package standalone
