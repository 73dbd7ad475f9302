package metadata

import (
	"bytes"
	"encoding/json"
	"maps"
)

// Merge merges documents in their order: objects are merged key by key, everything else, lists
// and null included, is replaced by what comes later (os-apply-config, collect_config.py).
func Merge(docs []Document) (map[string]any, error) {
	merged := map[string]any{}
	for _, doc := range docs {
		var value map[string]any
		dec := json.NewDecoder(bytes.NewReader(doc.Raw))
		dec.UseNumber()
		if err := dec.Decode(&value); err != nil {
			return nil, err
		}
		merged = mergeObjects(merged, value)
	}
	return merged, nil
}

func mergeObjects(into, from map[string]any) map[string]any {
	out := maps.Clone(into)
	for key, value := range from {
		before, ok1 := out[key].(map[string]any)
		after, ok2 := value.(map[string]any)
		if ok1 && ok2 {
			out[key] = mergeObjects(before, after)
			continue
		}
		out[key] = value
	}
	return out
}
