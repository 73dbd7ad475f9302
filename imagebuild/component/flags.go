package component

import (
	"fmt"
	"os"
	"strings"
)

// Flags returns the flags of go build, in order, without -o and the packages.
func (r *Recipe) Flags() ([]string, error) {
	ldflags := "-s -w -buildid="
	for _, s := range r.Stamps {
		stamp, err := r.expand(s)
		if err != nil {
			return nil, err
		}
		ldflags += " -X " + stamp
	}
	flags := []string{"-mod=readonly", "-trimpath", "-buildvcs=false"}
	if len(r.Tags) > 0 {
		flags = append(flags, "-tags="+strings.Join(r.Tags, ","))
	}
	return append(flags, "-ldflags="+ldflags), nil
}

func (r *Recipe) expand(stamp string) (string, error) {
	bare := strings.TrimPrefix(r.Version, "v")
	part := strings.SplitN(bare, ".", 3)
	var unknown error
	out := os.Expand(stamp, func(name string) string {
		switch {
		case name == "version":
			return r.Version
		case name == "bare":
			return bare
		case name == "major" && len(part) > 1:
			return part[0]
		case name == "minor" && len(part) > 1:
			return part[1]
		}
		unknown = fmt.Errorf("recipe %s: stamp %q: no value for ${%s}", r.Image, stamp, name)
		return ""
	})
	if unknown == nil && strings.ContainsAny(out, " '\"") {
		unknown = fmt.Errorf("recipe %s: stamp %q has white space or quotes", r.Image, stamp)
	}
	return out, unknown
}
