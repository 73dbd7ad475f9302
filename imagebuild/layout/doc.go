// Package layout reads OCI image layouts where they lie, in a directory or in a tar archive, without
// unpacking them and without believing them: whoever takes a blob compares it with its digest
// (ReadBlob does so for small ones).
package layout
