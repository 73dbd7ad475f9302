package verifier

import (
	"encoding/json"
	"fmt"
	"io"
)

// MediaDescriptor is the media type of what containerd writes to the program's standard input.
const MediaDescriptor = "application/vnd.oci.descriptor.v1+json"

// Request is what containerd asks: its arguments and the descriptor on standard input.
type Request struct{ Name, Digest, MediaType string }

// maxDescriptor bounds the bytes of a descriptor, which may carry data.
const maxDescriptor = 4 << 20

// Check reads the descriptor and compares it with the arguments.
func (r Request) Check(stdin io.Reader) error {
	if r.Name == "" || r.Digest == "" {
		return fmt.Errorf("a name and a digest are wanted, found %.200q and %.200q", r.Name, r.Digest)
	}
	if r.MediaType != MediaDescriptor {
		return fmt.Errorf("expected %s on standard input, found %.100q", MediaDescriptor, r.MediaType)
	}
	data, err := io.ReadAll(io.LimitReader(stdin, maxDescriptor+1))
	if err != nil {
		return fmt.Errorf("read the descriptor: %w", err)
	}
	if len(data) > maxDescriptor {
		return fmt.Errorf("the descriptor has more than the %d bytes allowed", maxDescriptor)
	}
	var d struct {
		Digest string `json:"digest"`
	}
	if err := json.Unmarshal(data, &d); err != nil {
		return fmt.Errorf("read the descriptor: %w", err)
	}
	if d.Digest != r.Digest {
		return fmt.Errorf("the argument names %.100q and the descriptor %.100q", r.Digest, d.Digest)
	}
	return nil
}
