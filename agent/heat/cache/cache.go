package cache

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"slipway.build/slipway/agent/durable"
	"slipway.build/slipway/agent/heat/metadata"
)

// Directories and files of os-collect-config and heat-config.
const (
	Dir        = "/var/lib/os-collect-config"
	CopyDir    = "/var/run/os-collect-config"
	HeatConfig = "/var/run/heat-config/heat-config"
)

// list is the file that os-apply-config begins with.
const list = "os_config_files.json"

// Cache is a directory of documents, which hold secrets: files have mode 0600.
type Cache struct {
	Dir  string
	Copy string // where a second copy goes, "" for nowhere
	// HeatConfig is the file that gets the list of deployments, "" for none.
	HeatConfig string
}

// Keep makes documents durable, and their list if it changed. What did not change is not written.
func (c Cache) Keep(docs []metadata.Document) error {
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return fmt.Errorf("keep the metadata: %w", err)
	}
	for _, doc := range docs {
		text, err := canonical(doc)
		if err != nil {
			return fmt.Errorf("keep the metadata: %w", err)
		}
		if err := c.write(doc.Name+".json", text); err != nil {
			return err
		}
		if _, err := os.Lstat(c.path(doc.Name) + ".orig"); errors.Is(err, fs.ErrNotExist) {
			if err := passing(c.path(doc.Name)+".orig", text); err != nil {
				return err
			}
		}
	}
	raw, err := json.Marshal(c.Paths(docs))
	if err != nil {
		return fmt.Errorf("keep the metadata: %w", err)
	}
	if err := c.write(list, raw); err != nil {
		return err
	}
	return c.deployments(docs)
}

// deployments writes the list of deployments where heat-config's hooks look for it.
func (c Cache) deployments(docs []metadata.Document) error {
	if c.HeatConfig == "" {
		return nil
	}
	raw := metadata.RawDeployments(docs)
	if len(raw) == 0 {
		raw = json.RawMessage("[]")
	}
	if err := os.MkdirAll(filepath.Dir(c.HeatConfig), 0o700); err != nil {
		return fmt.Errorf("keep the deployments: %w", err)
	}
	return passing(c.HeatConfig, raw)
}

// Commit writes down that documents were acted on.
func (c Cache) Commit(docs []metadata.Document) error {
	for _, doc := range docs {
		text, err := canonical(doc)
		if err != nil {
			return fmt.Errorf("commit the metadata: %w", err)
		}
		if err := c.write(doc.Name+".json.last", text); err != nil {
			return err
		}
	}
	return nil
}

// Committed reports whether exactly these documents were acted on.
func (c Cache) Committed(docs []metadata.Document) bool {
	for _, doc := range docs {
		text, err := canonical(doc)
		if err != nil {
			return false
		}
		if last, err := os.ReadFile(c.path(doc.Name) + ".last"); err != nil || !bytes.Equal(last, text) {
			return false
		}
	}
	return true
}

// Load returns a document that was kept, by its name.
func (c Cache) Load(name string) (metadata.Document, bool) {
	raw, err := os.ReadFile(c.path(name))
	if err != nil {
		return metadata.Document{}, false
	}
	doc, err := metadata.Parse(name, raw)
	return doc, err == nil
}

// Names returns the names in the list of files, in their order.
func (c Cache) Names() []string {
	raw, err := os.ReadFile(filepath.Join(c.Dir, list))
	if err != nil {
		return nil
	}
	var paths []string
	if json.Unmarshal(raw, &paths) != nil {
		return nil
	}
	var names []string
	for _, path := range paths {
		if name, ok := strings.CutSuffix(filepath.Base(path), ".json"); ok && metadata.ValidName(name) {
			names = append(names, name)
		}
	}
	return names
}

// Paths are the files of documents, as OS_CONFIG_FILES lists them.
func (c Cache) Paths(docs []metadata.Document) []string {
	paths := []string{}
	for _, doc := range docs {
		paths = append(paths, c.path(doc.Name))
	}
	return paths
}

func (c Cache) path(name string) string { return filepath.Join(c.Dir, name+".json") }

func (c Cache) write(name string, text []byte) error {
	if err := replace(filepath.Join(c.Dir, name), text); err != nil {
		return err
	}
	if c.Copy == "" {
		return nil
	}
	if err := os.MkdirAll(c.Copy, 0o700); err != nil {
		return fmt.Errorf("copy the metadata: %w", err)
	}
	return passing(filepath.Join(c.Copy, name), text)
}

// replace writes a file unless it has this content already.
func replace(path string, text []byte) error {
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, text) {
		return nil
	}
	return durable.WriteFile(path, text, 0o600)
}

// passing is replace for what need not outlive a power loss: /var/run does not, and .orig is a
// curiosity. Syncs cost the first deployment of a node its time.
func passing(path string, text []byte) error {
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, text) {
		return nil
	}
	temp := path + ".new"
	if err := os.WriteFile(temp, text, 0o600); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(temp, path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// canonical is a document's content with its keys sorted, so that equal documents are equal bytes.
func canonical(doc metadata.Document) ([]byte, error) {
	var value any
	dec := json.NewDecoder(bytes.NewReader(doc.Raw))
	dec.UseNumber()
	if err := dec.Decode(&value); err != nil {
		return nil, err
	}
	return json.MarshalIndent(value, "", " ")
}
