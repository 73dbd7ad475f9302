// Package initrd writes and reads the archives that the Linux kernel unpacks over its initial
// RAM disk: newc cpio, compressed by xz with the check CRC32, the only one that the kernel knows
// besides none. It also finds such an archive again at the end of a larger initial RAM disk.
package initrd
