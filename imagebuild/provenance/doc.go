// Package provenance says how one platform's image was made: an in-toto statement (v1) with a SLSA
// provenance predicate (v1) about the image's manifests and programs. The statement is a function of
// recipe and result, so it has no times and no run's name, and every machine that builds the image
// makes the same bytes; whoever signs it says that they have made it, too.
package provenance
