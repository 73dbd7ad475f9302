// Package debian reads Debian packages for images that need a system beneath their program: it
// resolves names of packages, and what those need, through the machine's apt configuration into
// versions and sha256 sums, fetches packages by those sums, unpacks them without dpkg and without
// root, and finds the shared libraries that the files taken need.
package debian
