package heatapi

import (
	"fmt"
	"net/http"

	"sigs.k8s.io/yaml"

	"slipway.build/slipway/controlplane/store"
)

// showTemplate answers with the template that the stack was made from.
func (s *server) showTemplate(w http.ResponseWriter, _ *http.Request, row *store.Stack) error {
	document := map[string]any{}
	if err := yaml.Unmarshal([]byte(row.Template), &document); err != nil {
		return fmt.Errorf("stored template of stack %s: %w", row.Name, err)
	}
	writeJSON(w, http.StatusOK, document)
	return nil
}
