// Package sbom says what is in one platform's image, as SPDX 2.3 and CycloneDX 1.6 documents:
// every file by its sha256, every Go module that a program was linked from by its sum, the
// standard library, and every Debian package. It reads programs and the lock; it fetches nothing,
// and the same image gives the same bytes everywhere.
package sbom
