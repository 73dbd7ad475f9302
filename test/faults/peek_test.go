package faults

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"

	"golang.org/x/sys/unix"

	"slipway.build/slipway/agent/protocol"
)

// peek reads a body of signals and gives it back.
type peek struct{ signals []protocol.Signal }

func (p *peek) of(body io.ReadCloser) io.ReadCloser {
	raw, err := io.ReadAll(body)
	_ = body.Close()
	if err == nil {
		_ = json.Unmarshal(raw, &p.signals)
	}
	return io.NopCloser(bytes.NewReader(raw))
}

func (p *peek) tells(phase protocol.Phase, deployment string) bool {
	for _, signal := range p.signals {
		if signal.Phase == phase && signal.Deployment == deployment && signal.Progress == nil {
			return true
		}
	}
	return false
}

// discard is the answer that the agent never gets.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(int)             {}

// killAgent kills the agent that runs now, wherever it is.
func (c *control) killAgent() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.agent != 0 {
		_ = unix.Kill(c.agent, unix.SIGKILL)
	}
}
