package lint

// Unit folders in the order in which systemd prefers them.
var unitFolders = []string{"etc/systemd/system/", "usr/lib/systemd/system/"}

// zincati: Zincati compares the booted image with the registry's image of the stream that a label names, and rebases
// to that one (zincati, src/rpm_ostree): the layer is gone after the next update.
func zincati(s *Subject, found func(Finding)) {
	masked := false
	s.each(func(_ Layer, e Entry) {
		for _, dir := range unitFolders {
			if e.Path == dir+"zincati.service" {
				masked = e.Type == '2' && e.Link == "/dev/null" || e.File() && e.Size == 0
			}
		}
	})
	stream := s.stream()
	switch {
	case masked && stream != "":
		found(of(Warning, "the label says that the image is of Fedora's stream "+stream+"; who unmasks Zincati is taken back to the base by it",
			"overwrite the label com.coreos.stream and the annotation fedora-coreos.stream"))
	case !masked && stream != "":
		found(of(Error, "Zincati runs and follows Fedora's stream "+stream+": it rebases the node to the stock image, and the layer is gone",
			"mask it: a link /usr/lib/systemd/system/zincati.service to /dev/null in the layer; overwrite the label com.coreos.stream"))
	case !masked && s.Image == nil:
		found(of(Error, "Zincati runs; if the base says which of Fedora's streams it is of, the node is rebased to the stock image",
			"mask it: a link /usr/lib/systemd/system/zincati.service to /dev/null in the layer"))
	case !masked:
		found(of(Warning, "Zincati runs, and finds no stream that it knows", "mask it: a link /usr/lib/systemd/system/zincati.service to /dev/null in the layer"))
	}
}

// stream is Fedora's update stream that the image says it is of; empty for none.
func (s *Subject) stream() string {
	if s.Image == nil {
		return ""
	}
	for _, name := range []string{"com.coreos.stream", "fedora-coreos.stream"} {
		for _, values := range []map[string]string{s.Image.Config.Config.Labels, s.Image.Manifest.Annotations} {
			if v := values[name]; v != "" && v != "slipway" {
				return v
			}
		}
	}
	return ""
}
