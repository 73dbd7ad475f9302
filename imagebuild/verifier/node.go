package verifier

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/imagebuild/lock"
)

// Node is where things are on a node.
type Node struct {
	Trust     string // directory of *.pub: the keys that are baked in
	Lock      string // directory of the baked lock, images.yaml and images.yaml.sig
	Statement string // file of the lock keys' statement in force; it may be missing
	Delivery  string // file of the current generation's delivery; it may be missing
	// Policies are files of which the first that is there is the policy; DefaultPolicy when none is.
	Policies []string
}

// ThisNode is where the OS layer and the agent keep them.
func ThisNode() Node {
	return Node{
		Trust: plan.TrustDir, Lock: plan.BakedLock,
		Statement: filepath.Join(plan.StateDir, "trust", "lock-keys.json"),
		Delivery:  filepath.Join(plan.Current, "delivery.json"),
		Policies:  []string{plan.ImagePolicy, "/etc/slipway/image-policy.json"},
	}
}

// maxFile bounds what is read of a file.
const maxFile = 16 << 20

// Load reads the policy and the locks that count: the baked one, and that of the current generation unless its number is lower. Either
// must be signed by a key that counts for it; a lock that is there and is not is an error.
func (n Node) Load() (*Verifier, error) {
	policy, err := ReadPolicy(n.Policies...)
	if err != nil {
		return nil, err
	}
	trusted, err := n.trust()
	if err != nil {
		return nil, err
	}
	text, err := read(filepath.Join(n.Lock, "images.yaml"))
	if err != nil {
		return nil, fmt.Errorf("the baked lock: %w", err)
	}
	signature, err := read(filepath.Join(n.Lock, "images.yaml.sig"))
	if err != nil {
		return nil, fmt.Errorf("the baked lock: %w", err)
	}
	baked, err := trusted.Verify(text, signature)
	if err != nil {
		return nil, fmt.Errorf("the baked lock: %w", err)
	}
	v := &Verifier{Policy: policy, Locks: []Named{{fmt.Sprintf("baked lock %d", baked.Number), baked}}}
	current, err := n.current(trusted)
	if err != nil {
		return nil, fmt.Errorf("the current generation's lock: %w", err)
	}
	if current != nil && current.Number >= baked.Number {
		v.Locks = append(v.Locks, Named{fmt.Sprintf("current lock %d", current.Number), current})
	}
	return v, nil
}

// trust returns which keys count for which locks.
func (n Node) trust() (*lock.Trust, error) {
	files, err := filepath.Glob(filepath.Join(n.Trust, "*.pub"))
	if err != nil {
		return nil, err
	}
	slices.Sort(files)
	var keys []byte
	for _, file := range files {
		text, err := read(file)
		if err != nil {
			return nil, fmt.Errorf("the trusted keys: %w", err)
		}
		keys = append(append(keys, text...), '\n')
	}
	if keys == nil {
		return nil, fmt.Errorf("the trusted keys: no *.pub in %s", n.Trust)
	}
	var statement *lock.KeyStatement
	text, err := read(n.Statement)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("the statement of lock keys: %w", err)
	default:
		if statement, err = lock.ParseKeys(text); err != nil {
			return nil, err
		}
	}
	return lock.NewTrust(keys, statement)
}

// current returns the lock of the generation that runs; nil on a node that has none yet.
func (n Node) current(trusted *lock.Trust) (*lock.Lock, error) {
	text, err := read(n.Delivery)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var delivery protocol.Delivery
	if err := json.Unmarshal(text, &delivery); err != nil {
		return nil, fmt.Errorf("%s: %w", n.Delivery, err)
	}
	return trusted.Verify(delivery.LockBytes, delivery.LockSignature)
}

func read(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("%s has more than the %d bytes allowed", file, maxFile)
	}
	return data, err
}
