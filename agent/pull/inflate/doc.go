// Package inflate decompresses gzip (RFC 1952) and DEFLATE (RFC 1951) streams, two to three times
// as fast as compress/gzip on the programs that nodes pull. It accepts and refuses exactly what
// the standard library does, which a fuzz test holds it to, and its memory does not depend on the
// input: about 360 KiB for each Reader.
//
// What makes it fast: whole words go into a 64-bit bit buffer; one table look-up gives one symbol
// with its extra bits, or two literals at once; matches are copied in words; and the window is part
// of the output buffer, so that every byte is written once.
package inflate
