package layout

import (
	"archive/tar"
	"os"
	"path/filepath"
	"strings"
)

// Is says whether a directory or a tar archive is meant as an OCI layout, and not as the files of a layer. What may be
// wrong with it is Open's to say.
func Is(path string) bool {
	st, err := os.Stat(path)
	if err != nil {
		return false
	}
	if st.IsDir() {
		_, err := os.Lstat(filepath.Join(path, "oci-layout"))
		return err == nil
	}
	if !st.Mode().IsRegular() {
		return false
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	archive := tar.NewReader(f)
	for range maxEntries {
		header, err := archive.Next()
		if err != nil {
			return false
		}
		name := strings.TrimPrefix(header.Name, "./")
		if name == "oci-layout" || strings.HasPrefix(name, "blobs/sha256/") {
			return true
		}
	}
	return false
}
