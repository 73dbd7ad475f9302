package release

import "strings"

// evidenceRule wants what auditors ask for: bills of materials and provenance of all that we build.
// Upstream's images bring their own, or none; that is not ours to say.
func evidenceRule() Rule {
	return Rule{
		Name: "evidence", About: "every image from source has SPDX, CycloneDX and provenance",
		find: func(s *Subject) []Finding {
			var all []Finding
			for i := range s.Lock.Images {
				img := &s.Lock.Images[i]
				if img.Source.Module == "" {
					continue
				}
				for _, p := range img.Platforms {
					var missing []string
					for _, e := range []struct{ name, digest string }{
						{"spdx", p.Evidence.SPDX}, {"cyclonedx", p.Evidence.CycloneDX}, {"provenance", p.Evidence.Provenance},
					} {
						if e.digest == "" {
							missing = append(missing, e.name)
						}
					}
					if len(missing) > 0 {
						all = append(all, Finding{Image: full(img), Field: "platforms(" + p.Platform + ").evidence",
							Problem: "there is no " + strings.Join(missing, ", no "), Remedy: "build it anew: slipway images lock"})
					}
				}
			}
			return all
		},
	}
}
