// Package livemedia puts Ignition configurations, network settings and kernel arguments into live
// media of Fedora CoreOS, and reads them out again: into the areas that its ISO images reserve for
// them, and behind the initial RAM disk of a network boot.
//
// An ISO image is never read as a whole into memory, and is either wholly changed or not at all:
// by default a copy is changed, checked and renamed; in place, a journal beside the image holds
// what the areas had, until the new contents have been read back from the disk.
//
// The areas' form is that of coreos-installer.
package livemedia
