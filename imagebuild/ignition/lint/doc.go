// Package lint checks Ignition configurations for what Ignition itself lets pass: size, what is
// fetched without a hash, volumes whose cipher is left to chance, and secrets.
package lint
