// Package walkthrough does what docs/images.md tells an operator to do for a node OS of their own: it types the page's
// commands in a copy of this clone, with a small base in the form of Fedora CoreOS in place of the real one. Its test has
// the build tag "acceptance" and needs neither root nor a network once modules are there.
package walkthrough
