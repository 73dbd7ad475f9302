// Package referrer keeps what is said about an image beside it: artifact manifests of OCI 1.1
// whose subject is the image, in a repository of an OCI layout or of a registry, listed by the
// distribution specification's referrers API and by its fallback tag ("sha256-<hex>"). In a layout
// the list is always an index under that tag, so that a copy of the tags is a copy of everything.
package referrer
