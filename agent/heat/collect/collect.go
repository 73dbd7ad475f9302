package collect

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"slipway.build/slipway/agent/heat/metadata"
)

// ErrNotConfigured says that a collector has not been told what it needs, which is no fault.
var ErrNotConfigured = errors.New("not configured")

// ErrUnchanged says that there is nothing new since the last time.
var ErrUnchanged = errors.New("unchanged")

// Found is what a collector brings.
type Found struct {
	Docs []metadata.Document
	// Kept, when not nil, is to be called once the documents are durable on this machine; it
	// takes them off the transport.
	Kept func(context.Context) error
}

// Collector is one source of metadata. Collect returns ErrNotConfigured, ErrUnchanged, or that
// the source is not available now.
type Collector interface {
	Name() string
	Collect(ctx context.Context, settings metadata.Settings) (Found, error)
}

// Names of the collectors, which are those of os-collect-config.
const (
	nameHeatLocal = "heat_local"
	nameEC2       = "ec2"
	nameCFN       = "cfn"
	nameHeat      = "heat"
	nameRequest   = "request"
	nameLocal     = "local"
	nameZaqar     = "zaqar"
)

// parse makes the documents of a source that has one.
func parse(name string, raw []byte) (Found, error) {
	doc, err := metadata.Parse(name, raw)
	if err != nil {
		return Found{}, err
	}
	return Found{Docs: []metadata.Document{doc}}, nil
}

// into decodes an answer.
func into(raw []byte, value any) error {
	if err := json.Unmarshal(raw, value); err != nil {
		return fmt.Errorf("the answer cannot be read: %w", err)
	}
	return nil
}

// memory knows a source's last answer again, so that one that says the same is not even parsed:
// Heat's own API has no conditional requests.
type memory struct {
	mu     sync.Mutex
	access any // of whom
	sum    [sha256.Size]byte
}

// same reports whether this is the answer of before, to the same question, and remembers it.
func (m *memory) same(access any, answer []byte) bool {
	sum := sha256.Sum256(answer)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.access == access && m.sum == sum {
		return true
	}
	m.access, m.sum = access, sum
	return false
}

// forget has the next answer count as another one.
func (m *memory) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.access = nil
}
