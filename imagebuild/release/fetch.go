package release

import (
	"slipway.build/slipway/imagebuild/lock"
)

// Held is an image as a node has it.
type Held struct {
	Image    *lock.Image
	Platform *lock.Platform
	// Pods is true for an image whose layers are kept as they travel, for pods; others are unpacked.
	Pods bool
}

// NodeDelta is what one kind of node does on the way from one lock to another.
type NodeDelta struct {
	Role     string `json:"role"`
	Platform string `json:"platform"`
	// From and To are the Kubernetes versions that the node goes between.
	From  string `json:"from"`
	To    string `json:"to"`
	Fetch Fetch  `json:"fetch"`
	// Stop, Restart and Start are units, in the order in which systemd is asked.
	Stop    []string `json:"stop,omitempty"`
	Restart []string `json:"restart,omitempty"`
	Start   []string `json:"start,omitempty"`
}

// Fetch is what travels to a node.
type Fetch struct {
	// Bytes are those of the layers and manifests that travel, Present those of the layers that need
	// not. Configurations and indexes, of one to two kilobytes each, are not counted: the lock does
	// not say how large they are.
	Bytes   int64        `json:"bytes"`
	Present int64        `json:"present"`
	Images  []ImageFetch `json:"images"` // those that are not on the node, in the order of the plan
}

// ImageFetch is one image that is not on the node.
type ImageFetch struct {
	Image   string       `json:"image"` // name@version
	Bytes   int64        `json:"bytes"`
	Present int64        `json:"present"`
	Layers  []LayerFetch `json:"layers"`
}

// LayerFetch is one layer of such an image.
type LayerFetch struct {
	Digest string `json:"digest"`
	Size   int64  `json:"size"`
	// Reuse says why the layer does not travel: "diffID" when a layer with the same content is
	// unpacked, "files" when all files of its image are there, "blob" when it is kept for pods; empty
	// when it travels.
	Reuse string `json:"reuse,omitempty"`
}

// Between returns what a node that has some images fetches to have others, by the rules of the agent
// (docs/agent-pull.md): nothing of an image whose manifest it has; no layer whose diff ID it has
// unpacked; no layer of an image all of whose files it has by their sums; no blob that it keeps.
func Between(have, want []Held) Fetch {
	s := newStore(have)
	out := Fetch{Images: []ImageFetch{}}
	for _, w := range want {
		if s.manifests[w.Platform.Manifest] {
			continue
		}
		one := ImageFetch{Image: full(w.Image), Bytes: w.Platform.Size}
		files := !w.Pods && s.hasFiles(w.Platform)
		for _, l := range w.Platform.Layers {
			layer := LayerFetch{Digest: l.Digest, Size: l.Size}
			switch {
			case w.Pods && s.blobs[l.Digest]:
				layer.Reuse = "blob"
			case w.Pods:
			case s.diffIDs[l.DiffID]:
				layer.Reuse = "diffID"
			case files:
				layer.Reuse = "files"
			}
			if layer.Reuse == "" {
				one.Bytes += l.Size
			} else {
				one.Present += l.Size
			}
			one.Layers = append(one.Layers, layer)
		}
		out.Bytes += one.Bytes
		out.Present += one.Present
		out.Images = append(out.Images, one)
	}
	return out
}

// store is what a node has.
type store struct {
	manifests, diffIDs, files, blobs map[string]bool
}

func newStore(have []Held) *store {
	s := &store{map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}}
	for _, h := range have {
		s.manifests[h.Platform.Manifest] = true
		for _, l := range h.Platform.Layers {
			if h.Pods {
				s.blobs[l.Digest] = true
			} else {
				s.diffIDs[l.DiffID] = true
			}
		}
		for _, f := range h.Platform.Files {
			if !h.Pods {
				s.files[f.SHA256] = true
			}
		}
	}
	return s
}

func (s *store) hasFiles(p *lock.Platform) bool {
	for _, f := range p.Files {
		if !s.files[f.SHA256] {
			return false
		}
	}
	return len(p.Files) > 0
}
