// Package remote speaks the OCI distribution protocol to one registry: it asks by digest, reads from where a broken connection
// stopped, uploads in chunks that go on where they stopped, and tries again what may pass: broken
// connections, 5xx, and 429 with the time that the registry asks for.
package remote
