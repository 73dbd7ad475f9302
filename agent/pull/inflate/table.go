package inflate

import "math/bits"

// An entry of a decoding table is 32 bits wide:
//
//	bits 0-4    how many bits of input it takes, extra bits included
//	bits 8-11   how many of these are the code itself
//	bits 16-30  the base of a length or distance; or one literal or two (bits 8-15 and 16-23)
//	bit 31      literals; bit 5 says that there are two of them
//	bit 7       exceptional: a subtable, the end of the block, or no code at all
//
// For a subtable bits 16-30 are where it begins and bits 8-11 how many bits index it.
type entry = uint32

const (
	entryBits    = 0x1f
	literalFlag  = 1 << 31
	pairFlag     = 1 << 5
	subtableFlag = 1 << 6
	exceptional  = 1 << 7

	invalid    = exceptional
	endOfBlock = exceptional | 1<<16 // with the bits of its code
)

const (
	litBits  = 11
	distBits = 8
	maxCode  = 15

	maxLitLen = 286 // length codes in a dynamic block
	maxDist   = 30

	// Sizes that hold every complete code of 288 or 32 symbols with subtables, as powers of two so
	// that masked indices need no check. (zlib's enough: 2342 for 11 bits, 402 for 8 bits.)
	litSize  = 4096
	distSize = 512
)

var (
	lengthBase  = [...]uint16{3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258}
	lengthExtra = [...]uint8{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0}
	distBase    = [...]uint16{1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577}
	distExtra   = [...]uint8{0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13}
)

// litEntry is a literal or length symbol's entry for a code of n bits.
func litEntry(symbol, n int) entry {
	switch {
	case symbol < 256:
		return literalFlag | uint32(symbol)<<8 | uint32(n)
	case symbol == 256:
		return endOfBlock | uint32(n)
	case symbol < 257+len(lengthBase):
		i := symbol - 257
		return uint32(lengthBase[i])<<16 | uint32(n)<<8 | uint32(n) + uint32(lengthExtra[i])
	default:
		return invalid
	}
}

// distEntry is a distance symbol's entry for a code of n bits. 32768 does not occur: the largest
// base is 24577.
func distEntry(symbol, n int) entry {
	if symbol >= len(distBase) {
		return invalid
	}
	return uint32(distBase[symbol])<<16 | uint32(n)<<8 | uint32(n) + uint32(distExtra[symbol])
}

// codeEntry is an entry of the code of code lengths; its value is where a length's base is.
func codeEntry(symbol, n int) entry { return uint32(symbol)<<16 | uint32(n)<<8 | uint32(n) }

// build makes the decoding table of the canonical Huffman code with these lengths in table, whose
// first look-up takes primary bits. It reports whether the code is one that may be used: complete,
// or with no symbol, or with one symbol of one bit (what is missing there is invalid).
func build(table []entry, primary int, lengths []uint8, make func(symbol, n int) entry) bool {
	var count, next [maxCode + 1]int
	longest := 0
	for _, n := range lengths {
		if n > 0 {
			count[n]++
			longest = max(longest, int(n))
		}
	}
	size := 1 << primary
	if longest == 0 {
		for i := range size {
			table[i] = invalid
		}
		return true
	}
	code := 0
	for n := 1; n <= longest; n++ {
		code <<= 1
		next[n] = code
		code += count[n]
	}
	if code != 1<<longest && !(code == 1 && longest == 1) {
		return false
	}
	if longest <= primary && code != 1<<longest || longest == 1 {
		for i := range size {
			table[i] = invalid
		}
	}
	end := size // of the subtables so far
	if longest > primary {
		end = subtables(table, primary, longest, count[:], next[:])
		if end > len(table) {
			return false
		}
	}
	for symbol, n8 := range lengths {
		n := int(n8)
		if n == 0 {
			continue
		}
		reversed := int(bits.Reverse16(uint16(next[n])) >> (16 - n))
		next[n]++
		e := make(symbol, n)
		if n <= primary {
			for i := reversed; i < size; i += 1 << n {
				table[i] = e
			}
			continue
		}
		link := table[reversed&(size-1)]
		start, width := int(link>>16&0x7fff), int(link>>8&0xf)
		for i := reversed >> primary; i < 1<<width; i += 1 << (n - primary) {
			table[start+i] = e
		}
	}
	return true
}

// subtables lays out a subtable for each prefix of primary bits under which longer codes are, and
// returns where the last one ends. Codes are canonical: the longer ones are the numerically last,
// in order of their length.
func subtables(table []entry, primary, longest int, count, next []int) int {
	end := 1 << primary
	first := next[primary+1] >> 1 // the first prefix that is no code itself
	var left [maxCode + 1]int
	copy(left[:], count)
	n := primary + 1
	for prefix := first; prefix < 1<<primary; prefix++ {
		// Take codes from the shortest on until the prefix is full.
		for left[n] == 0 && n < longest {
			n++
		}
		width := n - primary
		room := 1 << width
		for at := n; ; {
			if left[at] >= room {
				left[at] -= room
				break
			}
			room -= left[at]
			left[at] = 0
			if at == longest {
				break
			}
			at++
			width++
			room <<= 1
		}
		index := int(bits.Reverse16(uint16(prefix)) >> (16 - primary))
		if end+1<<width > len(table) {
			return len(table) + 1
		}
		table[index] = exceptional | subtableFlag | uint32(end)<<16 | uint32(width)<<8
		for i := range 1 << width {
			table[end+i] = invalid
		}
		end += 1 << width
	}
	return end
}

// pair joins each literal with the literal that follows it, where both fit into the primary bits.
func pair(table *[litSize]entry) {
	for i := 1<<litBits - 1; i >= 0; i-- {
		first := table[i]
		n := first & entryBits
		if first&literalFlag == 0 || n >= litBits {
			continue
		}
		// Smaller indices are not joined yet.
		second := table[(i>>n)&(1<<litBits-1)]
		if m := second & entryBits; second&literalFlag != 0 && n+m <= litBits {
			table[i] = literalFlag | pairFlag | second>>8&0xff<<16 | first&0xff00 | (n + m)
		}
	}
}
