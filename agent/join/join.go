package join

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"slipway.build/slipway/agent/backoff"
	"slipway.build/slipway/agent/durable"
	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/protocol"
)

// API is what joining needs of the node API.
type API interface {
	Join(context.Context, protocol.JoinRequest) (*protocol.JoinResponse, error)
}

// Join returns the identity kept in dir when it is for this configuration. Otherwise it makes
// and stores a key, joins with it, tries again on retriable faults, and stores the answer. A
// terminal refusal (token used by another key, unknown node) is returned.
func Join(ctx context.Context, dir string, config protocol.AgentConfig, api API, log *slog.Logger) (*Identity, error) {
	identity, err := Load(dir)
	if err == nil && identity.joined.Node == config.Node && identity.joined.ControlPlane == config.ControlPlane {
		return identity, nil
	}
	if err == nil {
		// Another node or control plane: the old identity is of no use there.
		if err := errors.Join(os.Remove(filepath.Join(dir, joinedFile)), os.Remove(filepath.Join(dir, keyFile))); err != nil {
			return nil, fmt.Errorf("drop the identity of node %s: %w", identity.joined.Node, err)
		}
	}
	key, err := ownKey(dir)
	if err != nil {
		return nil, err
	}
	csr, err := Request(key, "node:"+config.Node)
	if err != nil {
		return nil, err
	}
	response, err := call(ctx, api, protocol.JoinRequest{Node: config.Node, Token: config.Token, CSR: csr}, log)
	if err != nil {
		return nil, err
	}
	_, encoded, err := encodeKey(key)
	if err != nil {
		return nil, err
	}
	if _, err := pairOf(response.Certificate, encoded); err != nil {
		return nil, fmt.Errorf("join as node %s: the control plane's answer: %w", config.Node, err)
	}
	if err := write(dir, joined{Node: config.Node, ControlPlane: config.ControlPlane, Response: *response}); err != nil {
		return nil, err
	}
	return Load(dir)
}

func call(ctx context.Context, api API, request protocol.JoinRequest, log *slog.Logger) (*protocol.JoinResponse, error) {
	var waits backoff.Backoff
	for {
		response, err := api.Join(ctx, request)
		if err == nil {
			return response, nil
		}
		if fault.IsTerminal(err) {
			return nil, fmt.Errorf("join as node %s: %w", request.Node, err)
		}
		log.Warn("join failed, trying again", "node", request.Node, "error", err)
		if err := waits.Wait(ctx); err != nil {
			return nil, fmt.Errorf("join as node %s: %w", request.Node, err)
		}
	}
}

// ownKey returns the node's key, made and durable on first use.
func ownKey(dir string) (*ecdsa.PrivateKey, error) {
	path := filepath.Join(dir, keyFile)
	raw, err := os.ReadFile(path)
	if err == nil {
		return ParseKey(path, raw)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the node's key: %w", err)
	}
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("keep the node's key: %w", err)
	}
	key, encoded, err := NewKey()
	if err != nil {
		return nil, err
	}
	if err := durable.WriteFile(path, encoded, 0o600); err != nil {
		return nil, fmt.Errorf("keep the node's key: %w", err)
	}
	return key, nil
}

// ParseKey reads an ECDSA P-256 key from PEM (PKCS 8); path names it in errors, which are terminal.
func ParseKey(path string, raw []byte) (*ecdsa.PrivateKey, error) {
	block, _ := pem.Decode(raw)
	if block == nil {
		return nil, fault.Terminalf("%s is not PEM; remove it to join with a new key", path)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fault.Terminalf("%s: %w; remove it to join with a new key", path, err)
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, fault.Terminalf("%s is not an ECDSA P-256 key; remove it to join with a new key", path)
	}
	return key, nil
}

// NewKey makes a P-256 key and its PEM form (PKCS 8).
func NewKey() (*ecdsa.PrivateKey, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make a key: %w", err)
	}
	return encodeKey(key)
}

func encodeKey(key *ecdsa.PrivateKey) (*ecdsa.PrivateKey, []byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, fmt.Errorf("encode a key: %w", err)
	}
	return key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// Request returns a certificate signing request (PEM) for key with that common name.
func Request(key *ecdsa.PrivateKey, name string) (string, error) {
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: name}}, key)
	if err != nil {
		return "", fmt.Errorf("request a certificate for %s: %w", name, err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})), nil
}
