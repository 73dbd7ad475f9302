// Package layout reads OCI image layouts where they lie, in a directory or in a tar archive, without
// unpacking them and without believing them: whoever takes a blob compares it with its digest
// (ReadBlob does so for small ones, Image for an image's manifest and configuration). A layout stays open
// until it is closed, and so does what was taken from it.
package layout
