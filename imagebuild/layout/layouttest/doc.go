// Package layouttest makes OCI layouts with the locks that describe them, for tests: small invented images in
// every form that a lock can speak of (two platforms, zstd and gzip, evidence with referrers), signed
// with a key of their own.
package layouttest
