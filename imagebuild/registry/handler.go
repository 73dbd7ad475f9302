package registry

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	ocilayout "slipway.build/slipway/imagebuild/layout"
)

// Handler answers GET and HEAD for the layout in a directory; any other method is refused.
// It reads the layout anew for each request, so the layout may be written, or be missing,
// while it serves. Blobs go from file to socket (sendfile), with ranges; wrap its
// ResponseWriter only in one that keeps io.ReaderFrom.
type Handler struct {
	files files
}

// New returns a handler for the OCI layout in dir.
func New(dir string) *Handler { return &Handler{files: directory(dir)} }

// NewArchive returns a handler for an opened archive of an OCI layout.
func NewArchive(l *ocilayout.Layout) *Handler { return &Handler{files: archive{l}} }

// The forms are those of the OCI distribution specification.
var (
	routeForm  = regexp.MustCompile(`^/v2/([a-z0-9]+(?:[._/-][a-z0-9]+)*)/(manifests|blobs|tags|referrers)/([^/]+)$`)
	digestForm = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
	tagForm    = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)
)

// maxManifest is the largest manifest that is looked into for its media type: 4 MiB, as the
// distribution specification asks registries to accept.
const maxManifest = 4 << 20

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		refuse(w, http.StatusMethodNotAllowed, "UNSUPPORTED", "this registry is read-only")
		return
	}
	if r.URL.Path == "/v2/" || r.URL.Path == "/v2" {
		answer(w, struct{}{})
		return
	}
	part := routeForm.FindStringSubmatch(r.URL.Path)
	if part == nil {
		refuse(w, http.StatusNotFound, "NAME_INVALID", "no such resource")
		return
	}
	switch repository, kind, ref := part[1], part[2], part[3]; kind {
	case "manifests":
		h.manifest(w, r, repository, ref)
	case "blobs":
		h.blob(w, r, ref)
	case "referrers":
		h.referrers(w, r, repository, ref)
	default:
		h.tags(w, repository, ref)
	}
}

func (h *Handler) manifest(w http.ResponseWriter, r *http.Request, repository, ref string) {
	digest := ref
	if !digestForm.MatchString(ref) {
		var err error
		if digest, err = h.resolve(repository, ref); err != nil {
			internal(w, err)
			return
		}
		if digest == "" {
			refuse(w, http.StatusNotFound, "MANIFEST_UNKNOWN", fmt.Sprintf("no manifest %s:%s", repository, ref))
			return
		}
	}
	f, err := h.open(digest)
	if err != nil {
		notFound(w, err, "MANIFEST_UNKNOWN", digest)
		return
	}
	defer f.Close()
	serve(w, r, f, digest, mediaType(f))
}

func (h *Handler) blob(w http.ResponseWriter, r *http.Request, digest string) {
	if !digestForm.MatchString(digest) {
		refuse(w, http.StatusBadRequest, "DIGEST_INVALID", "a blob is named by sha256: and 64 hex digits")
		return
	}
	f, err := h.open(digest)
	if err != nil {
		notFound(w, err, "BLOB_UNKNOWN", digest)
		return
	}
	defer f.Close()
	serve(w, r, f, digest, "application/octet-stream")
}

func (h *Handler) tags(w http.ResponseWriter, repository, ref string) {
	index, err := h.index()
	if err != nil {
		internal(w, err)
		return
	}
	tags := []string{}
	for _, d := range index.Manifests {
		if repo, tag, ok := strings.Cut(d.Annotations[ocilayout.RefName], ":"); ok && repo == repository {
			tags = append(tags, tag)
		}
	}
	if ref != "list" || len(tags) == 0 {
		refuse(w, http.StatusNotFound, "NAME_UNKNOWN", "no repository "+repository)
		return
	}
	slices.Sort(tags)
	answer(w, struct {
		Name string   `json:"name"`
		Tags []string `json:"tags"`
	}{repository, tags})
}

// resolve returns the digest that a tag stands for, or "" if there is none.
func (h *Handler) resolve(repository, tag string) (string, error) {
	if !tagForm.MatchString(tag) {
		return "", nil
	}
	index, err := h.index()
	if err != nil {
		return "", err
	}
	for _, d := range index.Manifests {
		if d.Annotations[ocilayout.RefName] == repository+":"+tag {
			return d.Digest.String(), nil
		}
	}
	return "", nil
}

func (h *Handler) index() (*v1.IndexManifest, error) { return h.files.index() }

func (h *Handler) open(digest string) (io.ReadSeekCloser, error) { return h.files.open(digest) }

// serve sends a file, or the range of it that was asked for.
func serve(w http.ResponseWriter, r *http.Request, f io.ReadSeeker, digest, contentType string) {
	head := w.Header()
	head.Set("Content-Type", contentType)
	head.Set("Docker-Content-Digest", digest)
	head.Set("ETag", `"`+digest+`"`)
	http.ServeContent(w, r, "", time.Time{}, f)
}

// mediaType returns what a manifest says about itself, and leaves the file at its beginning.
// A damaged manifest is served as well; that it is damaged is for the client to find.
func mediaType(f io.ReadSeeker) string {
	var m struct {
		MediaType types.MediaType `json:"mediaType"`
	}
	err := json.NewDecoder(io.LimitReader(f, maxManifest)).Decode(&m)
	_, seekErr := f.Seek(0, io.SeekStart)
	if err != nil || seekErr != nil || (!m.MediaType.IsImage() && !m.MediaType.IsIndex()) {
		return string(types.OCIManifestSchema1)
	}
	return string(m.MediaType)
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the client has gone: nobody to tell
}

func notFound(w http.ResponseWriter, err error, code, digest string) {
	if !errors.Is(err, fs.ErrNotExist) {
		internal(w, err)
		return
	}
	refuse(w, http.StatusNotFound, code, digest+" is not here")
}

func internal(w http.ResponseWriter, err error) {
	refuse(w, http.StatusInternalServerError, "UNKNOWN", "read the OCI layout: "+err.Error())
}

// refuse answers with the error body of the distribution specification.
func refuse(w http.ResponseWriter, status int, code, message string) {
	type problem struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string][]problem{"errors": {{code, message}}})
}
