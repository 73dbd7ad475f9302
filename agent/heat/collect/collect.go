package collect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

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
