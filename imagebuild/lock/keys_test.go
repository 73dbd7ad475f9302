package lock

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"

	"slipway.build/slipway/agent/fault"
)

// signedBytes returns the detached signature of data.
func signedBytes(t testing.TB, key *ecdsa.PrivateKey, data []byte) []byte {
	t.Helper()
	sum := sha256.Sum256(data)
	der, err := ecdsa.SignASN1(nil, key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return []byte(base64.StdEncoding.EncodeToString(der) + "\n")
}

// statementOf returns a valid statement's value and bytes.
func statementOf(t testing.TB, number int64, keys ...Key) (*KeyStatement, []byte) {
	t.Helper()
	s := &KeyStatement{Schema: KeysSchema, Number: number, Issued: "2026-11-21T17:00:00Z", Keys: keys}
	raw, err := s.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	return s, raw
}

func numbered(t testing.TB, number int64) []byte {
	t.Helper()
	l := sample()
	l.Number = number
	raw, err := l.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestAKeyIsRotatedWithOverlap(t *testing.T) {
	old, next, foreign := newKey(t, elliptic.P256()), newKey(t, elliptic.P256()), newKey(t, elliptic.P256())
	baked := []byte(publicPEM(t, &old.PublicKey))
	oldID, nextID := KeyID(&old.PublicKey), KeyID(&next.PublicKey)
	add := Key{ID: nextID, Public: publicPEM(t, &next.PublicKey), From: 5}
	first, _ := statementOf(t, 1, add)
	second, _ := statementOf(t, 2, add, Key{ID: oldID, Until: 7})
	for name, tt := range map[string]struct {
		statement *KeyStatement
		signer    *ecdsa.PrivateKey
		number    int64
		want      string // "" for accepted
	}{
		"the baked key":                          {nil, old, 1, ""},
		"a key not announced":                    {nil, next, 9, "by none of the 1 trusted keys"},
		"the new key, in its range":              {first, next, 5, ""},
		"the new key, before its range":          {first, next, 4, "counts for lock numbers from 5 until any; this is number 4"},
		"the old key during the overlap":         {first, old, 9, ""},
		"the old key at its last number":         {second, old, 7, ""},
		"the old key after its last number":      {second, old, 8, "counts for lock numbers from 1 until 7; this is number 8"},
		"the new key after the old one's end":    {second, next, 8, ""},
		"a foreign key, whatever the statements": {second, foreign, 6, "by none of the 2 trusted keys"},
	} {
		t.Run(name, func(t *testing.T) {
			trusted, err := NewTrust(baked, tt.statement)
			if err != nil {
				t.Fatal(err)
			}
			raw := numbered(t, tt.number)
			_, err = trusted.Verify(raw, signedBytes(t, tt.signer, raw))
			if tt.want == "" && err != nil {
				t.Errorf("refused: %v", err)
			}
			if tt.want != "" && (!fault.IsTerminal(err) || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("error %v, want a terminal one with %q", err, tt.want)
			}
		})
	}
}

func TestAStatementIsTakenFromATrustedKeyOnce(t *testing.T) {
	old, next, foreign := newKey(t, elliptic.P256()), newKey(t, elliptic.P256()), newKey(t, elliptic.P256())
	baked := []byte(publicPEM(t, &old.PublicKey))
	add := Key{ID: KeyID(&next.PublicKey), Public: publicPEM(t, &next.PublicKey)}
	inForce, _ := statementOf(t, 2, add, Key{ID: KeyID(&old.PublicKey), Until: 7})
	_, third := statementOf(t, 3, add)
	_, second := statementOf(t, 2, add)
	for name, tt := range map[string]struct {
		inForce   *KeyStatement
		raw       []byte
		signature []byte
		want      string
	}{
		"the first, by the baked key":       {nil, third, signedBytes(t, old, third), ""},
		"a later one by an added key":       {inForce, third, signedBytes(t, next, third), ""},
		"the same number again":             {inForce, second, signedBytes(t, next, second), "expected a number above 2, found 2"},
		"by a key that comes to its end":    {inForce, third, signedBytes(t, old, third), "until number 7 only and signs no statements"},
		"by a key that it adds itself":      {nil, third, signedBytes(t, next, third), "by none of the 1 trusted keys"},
		"by a foreign key":                  {inForce, third, signedBytes(t, foreign, third), "by none of the 2 trusted keys"},
		"without a signature":               {nil, third, nil, "signature is empty"},
		"with one byte of white space more": {nil, append([]byte(" "), third...), signedBytes(t, old, third), "canonical"},
		"with an unknown field":             {nil, []byte(`{"shell":1}`), signedBytes(t, old, third), "unknown field"},
	} {
		t.Run(name, func(t *testing.T) {
			trusted, err := NewTrust(baked, tt.inForce)
			if err != nil {
				t.Fatal(err)
			}
			s, err := trusted.Next(tt.raw, tt.signature)
			if tt.want == "" {
				if err != nil || s.Number != 3 {
					t.Errorf("refused: %v", err)
				}
				return
			}
			if s != nil || !fault.IsTerminal(err) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want a terminal one with %q", err, tt.want)
			}
		})
	}
}

func TestABadStatementNamesItsField(t *testing.T) {
	key := newKey(t, elliptic.P256())
	id, public := KeyID(&key.PublicKey), publicPEM(t, &key.PublicKey)
	for want, change := range map[string]func(*KeyStatement){
		"schema":                           func(s *KeyStatement) { s.Schema = "x" },
		"number: 0":                        func(s *KeyStatement) { s.Number = 0 },
		"issued":                           func(s *KeyStatement) { s.Issued = "yesterday" },
		"keys[0].id":                       func(s *KeyStatement) { s.Keys[0].ID = "x" },
		"is not the one key of that id":    func(s *KeyStatement) { s.Keys[0].ID = digestOf("1") },
		"keys[1].id: " + id + " is there":  func(s *KeyStatement) { s.Keys = append(s.Keys, Key{ID: id}) },
		"from 5 until 4 is no range":       func(s *KeyStatement) { s.Keys[0].From, s.Keys[0].Until = 5, 4 },
		"from -1 until 0 is no range":      func(s *KeyStatement) { s.Keys[0].From = -1 },
		"17 are more than the 16 allowed":  func(s *KeyStatement) { s.Keys = make([]Key, 17) },
		"keys[0].public: is not the one k": func(s *KeyStatement) { s.Keys[0].Public = "PEM" },
	} {
		s, _ := statementOf(t, 1, Key{ID: id, Public: public})
		change(s)
		raw, err := s.Canonical()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseKeys(raw); !fault.IsTerminal(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want a terminal one with %q", err, want)
		}
	}
}

func FuzzKeyStatement(f *testing.F) {
	key := newKey(f, elliptic.P256())
	_, raw := statementOf(f, 1, Key{ID: KeyID(&key.PublicKey), Public: publicPEM(f, &key.PublicKey), From: 1, Until: 2})
	f.Add(raw)
	f.Add([]byte(`{"schema":"slipway.build/lock-keys/v1","number":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := ParseKeys(data)
		if err != nil {
			if !fault.IsTerminal(err) {
				t.Errorf("the error is not terminal: %v", err)
			}
			return
		}
		if again, err := s.Canonical(); err != nil || string(again) != string(data) {
			t.Errorf("read from %q, written as %q (%v)", data, again, err)
		}
	})
}
