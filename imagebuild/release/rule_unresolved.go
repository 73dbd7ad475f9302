package release

// unresolvedRule finds what has no digest: it never runs, so whoever needs it waits in vain.
func unresolvedRule() Rule {
	return Rule{
		Name: "unresolved", About: "every image has digests",
		find: func(s *Subject) []Finding {
			var all []Finding
			for i := range s.Lock.Images {
				img := &s.Lock.Images[i]
				if img.Unresolved == "" {
					continue
				}
				remedy := "build it: slipway images lock"
				if img.Source.Reference != "" {
					remedy = "on a machine that reaches its registry: slipway images lock update " + full(img) + " --write"
				}
				all = append(all, Finding{Image: full(img), Field: "unresolved", Problem: img.Unresolved, Remedy: remedy})
			}
			return all
		},
	}
}
