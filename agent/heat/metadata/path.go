package metadata

import (
	"net/url"
	"strings"
)

// ResourcePath is the path of a stack's resource below Heat's endpoint; stack is name/uuid.
func ResourcePath(stack, resource string) string {
	var parts []string
	for part := range strings.SplitSeq(stack, "/") {
		parts = append(parts, url.PathEscape(part))
	}
	return "/stacks/" + strings.Join(parts, "/") + "/resources/" + url.PathEscape(resource)
}
