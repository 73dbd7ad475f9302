package certificates

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"math"
	"time"
)

// Due returns when two thirds of a certificate's life are over: from then on it may be renewed.
func Due(leaf *x509.Certificate) time.Time {
	return leaf.NotBefore.Add(life(leaf) / 3 * 2)
}

// RenewAt returns when a certificate is renewed though nobody asks for it: up to a tenth of its life
// after Due, by a share that follows from its bytes, so that a thousand nodes that were made
// together do not come together.
func RenewAt(leaf *x509.Certificate) time.Time {
	sum := sha256.Sum256(leaf.Raw)
	share := float64(binary.BigEndian.Uint64(sum[:])) / math.MaxUint64
	return Due(leaf).Add(time.Duration(share * float64(life(leaf)/10)))
}

func life(leaf *x509.Certificate) time.Duration { return leaf.NotAfter.Sub(leaf.NotBefore) }
