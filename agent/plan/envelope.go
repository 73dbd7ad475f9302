package plan

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/protocol"
)

// maxEnvelope is MaxSize in base64 with room for signatures.
const maxEnvelope = MaxSize/3*4 + 64<<10

// KeyID returns the identifier of a public key: the hex sha256 of its DER form.
func KeyID(public *ecdsa.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return "", fmt.Errorf("identify a plan key: %w", err)
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:]), nil
}

// PublicKey returns the form in which a node learns the key at join.
func PublicKey(public *ecdsa.PublicKey) (protocol.PlanKey, error) {
	id, err := KeyID(public)
	if err != nil {
		return protocol.PlanKey{}, err
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return protocol.PlanKey{}, fmt.Errorf("encode plan key %s: %w", id, err)
	}
	return protocol.PlanKey{ID: id, Public: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))}, nil
}

// Seal validates p and returns its DSSE envelope, as JSON, signed with ECDSA P-256 by key.
func Seal(ctx context.Context, p *Plan, key *ecdsa.PrivateKey) ([]byte, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	payload, err := p.Canonical()
	if err != nil {
		return nil, err
	}
	return seal(ctx, protocol.PayloadType, payload, key, fmt.Sprintf("plan %d of node %s", p.Generation, p.Node.Name))
}

// seal signs a payload; what names it in errors.
func seal(ctx context.Context, payloadType string, payload []byte, key *ecdsa.PrivateKey, what string) ([]byte, error) {
	signer, err := newSignVerifier(&key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	envelopeSigner, err := dsse.NewEnvelopeSigner(signer)
	if err != nil {
		return nil, fmt.Errorf("sign %s: %w", what, err)
	}
	envelope, err := envelopeSigner.SignPayload(ctx, payloadType, payload)
	if err != nil {
		return nil, fmt.Errorf("sign %s: %w", what, err)
	}
	return json.Marshal(envelope)
}

// Open verifies a DSSE envelope against the keys that the node believes and returns the plan
// in it and the plan's digest. The payload must be the plan's canonical bytes. All errors are
// terminal.
func Open(ctx context.Context, envelope []byte, keys []protocol.PlanKey) (*Plan, string, error) {
	if len(envelope) > maxEnvelope {
		return nil, "", fault.Terminalf("plan envelope: %d bytes, more than the limit of %d", len(envelope), maxEnvelope)
	}
	payload, err := open(ctx, envelope, protocol.PayloadType, keys, "plan")
	if err != nil {
		return nil, "", err
	}
	p, err := parseCanonical(payload)
	return p, DigestOf(payload), err
}

// OpenAccepted returns the plan in an envelope whose payload has the digest of a plan that was
// accepted before: its signature was good then, whichever keys have been dropped since.
func OpenAccepted(envelope []byte, digest string) (*Plan, error) {
	if len(envelope) > maxEnvelope {
		return nil, fault.Terminalf("plan envelope: %d bytes, more than the limit of %d", len(envelope), maxEnvelope)
	}
	var env dsse.Envelope
	if err := json.Unmarshal(envelope, &env); err != nil {
		return nil, fault.Terminalf("plan envelope: not a DSSE envelope: %w", err)
	}
	payload, err := env.DecodeB64Payload()
	if err != nil {
		return nil, fault.Terminalf("plan envelope: %w", err)
	}
	if found := DigestOf(payload); found != digest {
		return nil, fault.Terminalf("plan envelope: expected the accepted plan %s, found %s", digest, found)
	}
	return parseCanonical(payload)
}

func parseCanonical(payload []byte) (*Plan, error) {
	p, err := Parse(payload)
	if err != nil {
		return nil, err
	}
	canonical, err := p.Canonical()
	if err != nil {
		return nil, fault.Terminalf("plan envelope: %w", err)
	}
	if !bytes.Equal(canonical, payload) {
		return nil, fault.Terminalf("plan envelope: payload is not in canonical form")
	}
	return p, nil
}

// open verifies an envelope of that payload type; what names it in errors, which are terminal.
func open(ctx context.Context, envelope []byte, payloadType string, keys []protocol.PlanKey, what string) ([]byte, error) {
	verifiers, err := verifiersOf(keys)
	if err != nil {
		return nil, err
	}
	var env dsse.Envelope
	if err := json.Unmarshal(envelope, &env); err != nil {
		return nil, fault.Terminalf("%s envelope: not a DSSE envelope: %w", what, err)
	}
	if env.PayloadType != payloadType {
		return nil, fault.Terminalf("%s envelope: payload type %q, want %q", what, env.PayloadType, payloadType)
	}
	verifier, err := dsse.NewEnvelopeVerifier(verifiers...)
	if err != nil {
		return nil, fault.Terminalf("%s envelope: no trusted plan key: %w", what, err)
	}
	_, payload, err := verifier.VerifyAndDecode(ctx, &env)
	if err != nil {
		return nil, fault.Terminalf("%s signature: signed by %s, trusted keys %s: %w", what, signersOf(env), trusted(keys), err)
	}
	return payload, nil
}

func verifiersOf(keys []protocol.PlanKey) ([]dsse.Verifier, error) {
	var out []dsse.Verifier
	for _, key := range keys {
		block, _ := pem.Decode([]byte(key.Public))
		if block == nil {
			return nil, fault.Terminalf("plan key %s: not PEM", key.ID)
		}
		parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return nil, fault.Terminalf("plan key %s: %w", key.ID, err)
		}
		public, ok := parsed.(*ecdsa.PublicKey)
		if !ok || public.Curve != elliptic.P256() {
			return nil, fault.Terminalf("plan key %s: not an ECDSA P-256 key", key.ID)
		}
		verifier, err := newSignVerifier(public, nil)
		if err != nil {
			return nil, err
		}
		if verifier.id != key.ID {
			return nil, fault.Terminalf("plan key %s: its identifier should be %s", key.ID, verifier.id)
		}
		out = append(out, verifier)
	}
	return out, nil
}

func signersOf(env dsse.Envelope) string {
	ids := []string{}
	for _, signature := range env.Signatures {
		ids = append(ids, short(signature.KeyID))
	}
	return fmt.Sprint(ids)
}

func trusted(keys []protocol.PlanKey) string {
	ids := []string{}
	for _, key := range keys {
		ids = append(ids, short(key.ID))
	}
	return fmt.Sprint(ids)
}

func short(id string) string {
	if len(id) > 12 {
		return id[:12]
	}
	return id
}

// signVerifier is ECDSA P-256 over SHA-256 in ASN.1 form, as DSSE wants it.
type signVerifier struct {
	id      string
	public  *ecdsa.PublicKey
	private *ecdsa.PrivateKey
}

func newSignVerifier(public *ecdsa.PublicKey, private *ecdsa.PrivateKey) (*signVerifier, error) {
	if public.Curve != elliptic.P256() {
		return nil, fault.Terminalf("plan key: curve %s, want P-256", public.Curve.Params().Name)
	}
	id, err := KeyID(public)
	if err != nil {
		return nil, err
	}
	return &signVerifier{id: id, public: public, private: private}, nil
}

// Sign signs the sha256 of data.
func (s *signVerifier) Sign(_ context.Context, data []byte) ([]byte, error) {
	sum := sha256.Sum256(data)
	return ecdsa.SignASN1(rand.Reader, s.private, sum[:])
}

// Verify checks a signature over the sha256 of data.
func (s *signVerifier) Verify(_ context.Context, data, signature []byte) error {
	sum := sha256.Sum256(data)
	if !ecdsa.VerifyASN1(s.public, sum[:], signature) {
		return errors.New("signature does not match")
	}
	return nil
}

// KeyID returns the identifier of the key.
func (s *signVerifier) KeyID() (string, error) { return s.id, nil }

// Public returns the public key.
func (s *signVerifier) Public() crypto.PublicKey { return s.public }
