package etcd

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"slipway.build/slipway/agent/fault"
)

const (
	// stall is how long a stream may bring nothing.
	stall = 30 * time.Second
	// maxChunk bounds one line of a stream. etcd sends 32 KiB at a time, in base64.
	maxChunk = 1 << 20
)

// stream asks for a snapshot and writes it to out, a chunk at a time. It returns the sums of a
// snapshot that is whole.
func (c *Client) stream(parent context.Context, out io.Writer) (*sums, error) {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	idle := time.AfterFunc(stall, func() { cancel(fmt.Errorf("nothing came for %s", stall)) })
	defer idle.Stop()
	resp, err := c.open(ctx, c.endpoint, "/v3/maintenance/snapshot", struct{}{})
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	sum := newSummer()
	out = io.MultiWriter(out, sum)
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(make([]byte, 64<<10), maxChunk)
	for lines.Scan() {
		idle.Reset(stall)
		if len(lines.Bytes()) == 0 {
			continue
		}
		var line struct {
			Result *struct {
				Blob []byte `json:"blob"`
			} `json:"result"`
			Error *Error `json:"error"`
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			if cause := context.Cause(ctx); cause != nil {
				err = cause // it was cut off by us
			}
			return nil, fault.Retriablef("read the snapshot: %w", err)
		}
		if line.Error != nil {
			return nil, &fault.Error{Kind: fault.Retriable, Err: line.Error}
		}
		if line.Result == nil {
			continue
		}
		if _, err := out.Write(line.Result.Blob); err != nil {
			return nil, fault.Retriablef("write the snapshot: %w", err)
		}
	}
	if err := lines.Err(); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return nil, fault.Retriablef("read the snapshot: %w", err)
	}
	return sum.verdict()
}
