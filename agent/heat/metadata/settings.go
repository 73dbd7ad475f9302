package metadata

import (
	"bytes"
	"encoding/json"
	"math"
	"path/filepath"
	"slices"
	"time"
)

// DefaultCollectors is the order of os-collect-config when nothing says another.
func DefaultCollectors() []string {
	return []string{"heat_local", "ec2", "cfn", "heat", "request", "local", "zaqar"}
}

// Settings say how documents are collected: the section os-collect-config of the merged
// document. What is null or absent is empty: so a change of the transport, which leaves the old
// one's keys as nulls, turns the old one off.
type Settings struct {
	Collectors      []string
	Command         string
	PollingInterval time.Duration // 30 s when nothing is said
	Splay           time.Duration
	CacheDir        string // absolute, or ""
	Heat            HeatAccess
	CFN             CFNAccess
	Zaqar           ZaqarAccess
	Request         RequestAccess
}

// Access is what a collector needs for Keystone.
type Access struct {
	UserID    string `json:"user_id"`
	Password  string `json:"password"`
	AuthURL   string `json:"auth_url"`
	ProjectID string `json:"project_id"`
	Region    string `json:"region_name"`
}

// Complete reports whether nothing that is needed is missing; a region is not needed.
func (a Access) Complete() bool {
	return a.UserID != "" && a.Password != "" && a.AuthURL != "" && a.ProjectID != ""
}

// HeatAccess is the section heat.
type HeatAccess struct {
	Access
	StackID      string `json:"stack_id"` // name/uuid
	ResourceName string `json:"resource_name"`
}

// CFNAccess is the section cfn.
type CFNAccess struct {
	MetadataURL     string `json:"metadata_url"`
	AccessKeyID     string `json:"access_key_id"`
	SecretAccessKey string `json:"secret_access_key"`
	StackName       string `json:"stack_name"`
	Path            string `json:"path"` // resource.field[.key…]
	CACertificate   string `json:"ca_certificate"`
}

// ZaqarAccess is the section zaqar.
type ZaqarAccess struct {
	Access
	QueueID string `json:"queue_id"`
}

// RequestAccess is the section request.
type RequestAccess struct {
	MetadataURL string `json:"metadata_url"`
}

// Bounds of the settings.
const (
	defaultPolling = 30 * time.Second
	minPolling     = time.Second
	maxPolling     = time.Hour
)

// ReadSettings reads the settings out of a merged document. A part that is not of its form
// counts as not there: the others must go on working, or the node could never be told better.
func ReadSettings(merged map[string]any) Settings {
	section, _ := merged[settingsKey].(map[string]any)
	s := Settings{
		Collectors:      collectors(section["collectors"]),
		PollingInterval: min(max(seconds(section["polling_interval"], defaultPolling), minPolling), maxPolling),
		Splay:           min(seconds(section["splay"], 0), maxPolling),
	}
	s.Command, _ = section["command"].(string)
	if dir, _ := section["cachedir"].(string); filepath.IsAbs(dir) {
		s.CacheDir = filepath.Clean(dir)
	}
	decode(section["heat"], &s.Heat)
	decode(section["cfn"], &s.CFN)
	decode(section["zaqar"], &s.Zaqar)
	decode(section["request"], &s.Request)
	return s
}

// collectors reads the list; names that no collector has are left out.
func collectors(value any) []string {
	list, _ := value.([]any)
	var out []string
	for _, item := range list {
		if name, ok := item.(string); ok && slices.Contains(DefaultCollectors(), name) && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	if len(out) == 0 {
		return DefaultCollectors()
	}
	return out
}

func seconds(value any, otherwise time.Duration) time.Duration {
	var number json.Number
	switch value := value.(type) {
	case json.Number:
		number = value
	case string:
		number = json.Number(value)
	}
	f, err := number.Float64()
	if err != nil || math.IsNaN(f) || f < 0 || f > maxPolling.Seconds() {
		return otherwise
	}
	return time.Duration(f * float64(time.Second))
}

// decode fills a section; texts that are no texts leave it empty.
func decode[T any](value any, into *T) {
	if value == nil {
		return
	}
	raw, err := json.Marshal(value)
	if err != nil {
		return
	}
	var read T
	if json.NewDecoder(bytes.NewReader(raw)).Decode(&read) == nil {
		*into = read
	}
}
