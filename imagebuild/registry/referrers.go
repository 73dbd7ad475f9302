package registry

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// referrers lists the artifacts about a digest. A layout has the list as an index under the
// distribution specification's fallback tag; none there is an empty list.
func (h *Handler) referrers(w http.ResponseWriter, r *http.Request, repository, subject string) {
	if !digestForm.MatchString(subject) {
		refuse(w, http.StatusBadRequest, "DIGEST_INVALID", "a subject is named by sha256: and 64 hex digits")
		return
	}
	digest, err := h.resolve(repository, strings.Replace(subject, ":", "-", 1))
	if err != nil {
		internal(w, err)
		return
	}
	list := &v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{}}
	if digest != "" {
		if err := h.readList(digest, list); err != nil {
			internal(w, fmt.Errorf("list of referrers of %s: %w", subject, err))
			return
		}
	}
	// Media types have no spaces: one is a plus that the client did not escape.
	if kind := strings.ReplaceAll(r.URL.Query().Get("artifactType"), " ", "+"); kind != "" {
		list.Manifests = slices.DeleteFunc(list.Manifests, func(d v1.Descriptor) bool { return d.ArtifactType != kind })
		w.Header().Set("OCI-Filters-Applied", "artifactType")
	}
	w.Header().Set("Content-Type", string(types.OCIImageIndex))
	_ = json.NewEncoder(w).Encode(list) // the client has gone: nobody to tell
}

func (h *Handler) readList(digest string, list *v1.IndexManifest) error {
	f, err := h.open(digest)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // a copy without its referrers
	}
	if err != nil {
		return err
	}
	defer f.Close()
	return json.NewDecoder(io.LimitReader(f, maxManifest)).Decode(list)
}
