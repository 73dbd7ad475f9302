package pki

import (
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
)

// planKeyPurpose is the purpose under which the plan signing keys are kept, one version each.
const planKeyPurpose Purpose = "plan-signing"

// PlanKeyLife is how old the plan signing key gets before the next one is announced.
const PlanKeyLife = 365 * 24 * time.Hour

// Overlap is how long a new key is announced before it signs, and how long the one before it is
// still believed after that.
const Overlap = 7 * 24 * time.Hour

// KeyRecord is one version of the plan signing key as the store keeps it.
type KeyRecord struct {
	Version   int
	Made      time.Time
	SealedKey []byte
}

// KeyHistory keeps the versions of the plan signing key and the statements about them. Records
// that have none can keep one key only, which is then never replaced.
type KeyHistory interface {
	// PlanKeys returns the keys, the oldest first, and the statements in their order.
	PlanKeys(ctx context.Context) ([]KeyRecord, [][]byte, error)
	// Announce keeps a further key together with the statement that announces it.
	Announce(ctx context.Context, key KeyRecord, number uint64, statement []byte) error
	// Drop removes versions together with keeping the statement that drops them.
	Drop(ctx context.Context, versions []int, number uint64, statement []byte) error
}

// openPlanSigner finds the plan signing keys in records, or makes the first one.
func openPlanSigner(ctx context.Context, records Records, sealer Sealer, now func() time.Time) (*PlanSigner, error) {
	s := &PlanSigner{records: records, sealer: sealer, now: now}
	_, err := records.Record(ctx, "", planKeyPurpose)
	if errors.Is(err, ErrNoRecord) {
		var sealed []byte
		if _, sealed, err = s.newSealed(); err != nil {
			return nil, err
		}
		err = records.InsertRecord(ctx, Record{Purpose: planKeyPurpose, SealedKey: sealed})
	}
	if err != nil {
		return nil, fmt.Errorf("plan signing key: %w", err)
	}
	return s, s.load(ctx)
}

func (s *PlanSigner) newSealed() (*ecdsa.PrivateKey, []byte, error) {
	made, err := newPlanKey()
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(made)
	if err != nil {
		return nil, nil, fmt.Errorf("encode plan signing key: %w", err)
	}
	sealed, err := s.sealer.Seal(der, recordID{"", planKeyPurpose}.label())
	return made, sealed, err
}

// load reads keys and statements from the records.
func (s *PlanSigner) load(ctx context.Context) error {
	var rows []KeyRecord
	var statements [][]byte
	if history, ok := s.records.(KeyHistory); ok {
		var err error
		if rows, statements, err = history.PlanKeys(ctx); err != nil {
			return fmt.Errorf("read plan signing keys: %w", err)
		}
	} else {
		record, err := s.records.Record(ctx, "", planKeyPurpose)
		if err != nil {
			return fmt.Errorf("read plan signing key: %w", err)
		}
		rows = []KeyRecord{{Version: 1, SealedKey: record.SealedKey}}
	}
	var keys []planKey
	var every []protocol.PlanKey
	for _, row := range rows {
		key, err := s.open(row)
		if err != nil {
			return err
		}
		keys, every = append(keys, key), append(every, key.public)
	}
	if len(keys) == 0 {
		return errors.New("read plan signing keys: there is none")
	}
	set := protocol.PlanKeySet{Keys: []protocol.PlanKey{keys[0].public}}
	for _, statement := range statements {
		// They are ours, from our own store: who has signed them matters to nodes.
		var err error
		if set, err = plan.ReadKeys(statement); err != nil {
			return fmt.Errorf("read statements of plan keys: %w", err)
		}
		for _, key := range set.Keys {
			if !slices.Contains(every, key) {
				every = append(every, key)
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys, s.set, s.every, s.statements = keys, set, every, statements
	return nil
}

func (s *PlanSigner) open(row KeyRecord) (planKey, error) {
	signer, err := openKey(s.sealer, Record{Purpose: planKeyPurpose, SealedKey: row.SealedKey})
	if err != nil {
		return planKey{}, err
	}
	private, ok := signer.(*ecdsa.PrivateKey)
	if !ok {
		return planKey{}, errors.New("the stored plan signing key is not ECDSA")
	}
	public, err := plan.PublicKey(&private.PublicKey)
	return planKey{version: row.Version, made: row.Made, private: private, public: public}, err
}

// Tend takes the next step of a rotation if its time has come, and says in words which: it
// announces a new key when the newest is older than life (PlanKeyLife when zero), signs with it
// from Overlap on, and drops the ones before after another Overlap. Everything follows from what is
// stored and the time, so it may be interrupted anywhere, and replicas come to the same.
func (s *PlanSigner) Tend(ctx context.Context, life time.Duration) (string, error) {
	history, ok := s.records.(KeyHistory)
	if !ok {
		return "", nil
	}
	if life <= 0 {
		life = PlanKeyLife
	}
	if err := s.load(ctx); err != nil { // another replica may have been here
		return "", err
	}
	s.mu.RLock()
	keys, set := s.keys, s.set
	s.mu.RUnlock()
	newest := keys[len(keys)-1]
	age := s.now().Sub(newest.made)
	switch {
	case len(set.Keys) > 1 && age >= 2*Overlap:
		return s.drop(ctx, history, keys, set)
	case len(set.Keys) == 1 && age >= life:
		return s.announce(ctx, history, newest, set)
	}
	return "", nil
}

func (s *PlanSigner) announce(ctx context.Context, history KeyHistory, newest planKey, set protocol.PlanKeySet) (string, error) {
	made, sealed, err := s.newSealed()
	if err != nil {
		return "", err
	}
	public, err := plan.PublicKey(&made.PublicKey)
	if err != nil {
		return "", err
	}
	next := protocol.PlanKeySet{
		Number: set.Number + 1, Issued: s.now().UTC().Truncate(time.Second), Keys: []protocol.PlanKey{newest.public, public},
	}
	statement, err := plan.SealKeys(ctx, next, newest.private)
	if err != nil {
		return "", err
	}
	if err := history.Announce(ctx, KeyRecord{Version: newest.version + 1, SealedKey: sealed}, next.Number, statement); err != nil {
		return "", fmt.Errorf("announce plan key %s: %w", public.ID, err)
	}
	return "announced plan key " + public.ID, s.load(ctx)
}

func (s *PlanSigner) drop(ctx context.Context, history KeyHistory, keys []planKey, set protocol.PlanKeySet) (string, error) {
	newest := keys[len(keys)-1]
	next := protocol.PlanKeySet{
		Number: set.Number + 1, Issued: s.now().UTC().Truncate(time.Second), Keys: []protocol.PlanKey{newest.public},
	}
	statement, err := plan.SealKeys(ctx, next, newest.private)
	if err != nil {
		return "", err
	}
	var versions []int
	for _, key := range keys[:len(keys)-1] {
		versions = append(versions, key.version)
	}
	if err := history.Drop(ctx, versions, next.Number, statement); err != nil {
		return "", fmt.Errorf("drop the plan keys before %s: %w", newest.public.ID, err)
	}
	return "dropped the plan keys before " + newest.public.ID, s.load(ctx)
}
