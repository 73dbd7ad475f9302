package components

// Names of the secrets that the masters of a cluster share. The control plane makes them
// once; a node gets them only while its plan names them.
const (
	// SecretServiceAccountKey is the PEM private key that signs service accounts' tokens.
	SecretServiceAccountKey = "sa-key"
	// SecretEncryptionConfig is the EncryptionConfiguration (YAML, with its keys) by which the
	// API server encrypts Secrets before etcd sees them.
	SecretEncryptionConfig = "encryption-config"
)
