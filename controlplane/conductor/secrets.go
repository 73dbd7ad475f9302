package conductor

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"

	"slipway.build/slipway/components"
	"slipway.build/slipway/controlplane/store"
)

// secretVersion is the version of the secrets that a cluster is made with; rotation adds more.
const secretVersion = "1"

// ensureSecrets makes what the masters of a cluster share: the key that signs service
// accounts' tokens and the one that encrypts Secrets in etcd. What is there stays.
func ensureSecrets(ctx context.Context, s *store.Store, sealer *store.Sealer, cluster string) error {
	there, err := s.Secrets(ctx, cluster)
	if err != nil {
		return err
	}
	have := map[string]bool{}
	for _, secret := range there {
		have[secret.Name] = true
	}
	for name, value := range map[string]func() ([]byte, error){
		components.SecretServiceAccountKey: newServiceAccountKey,
		components.SecretEncryptionConfig:  newEncryptionConfig,
	} {
		if have[name] {
			continue
		}
		plain, err := value()
		if err != nil {
			return fmt.Errorf("make secret %s: %w", name, err)
		}
		sealed, err := sealer.Seal(plain, SecretContext(cluster, name, secretVersion))
		if err != nil {
			return err
		}
		if err := s.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.InsertSecret(ctx, &store.Secret{ClusterID: cluster, Name: name, Version: secretVersion, Sealed: sealed})
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

// SecretContext is what a cluster's secret is sealed for, as store.Sealer wants it.
func SecretContext(cluster, name, version string) string {
	return "secret/" + cluster + "/" + name + "@" + version
}

func newServiceAccountKey() ([]byte, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// newEncryptionConfig encrypts Secrets with secretbox (XSalsa20 and Poly1305, 32-byte key), the
// strongest provider that Kubernetes has for a key held locally.
func newEncryptionConfig() ([]byte, error) {
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, `apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
  - resources: [secrets]
    providers:
      - secretbox:
          keys:
            - name: key1
              secret: %s
      - identity: {}
`, base64.StdEncoding.EncodeToString(key)), nil
}
