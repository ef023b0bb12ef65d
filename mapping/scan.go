package mapping

import (
	"math/bits"
	"unicode/utf8"
)

// Nearly every text is printable ASCII, and nearly every other one is UTF-8 with nothing odd
// in it: what is found to be so is passed through as it is, without a copy. The functions
// below find that out, eight octets at a time where they can. They only say where the rest
// begins; what becomes of that is decided by those who know each character.

const (
	eachOctet = 0x0101010101010101
	highBits  = 0x8080808080808080
)

// printable is the length of the part of s before the first octet that is a control or no
// ASCII.
func printable(s string) int {
	i := 0
	for ; len(s)-i >= 8; i += 8 {
		p := s[i : i+8] // read in one go: the compiler knows this form
		w := uint64(p[0]) | uint64(p[1])<<8 | uint64(p[2])<<16 | uint64(p[3])<<24 |
			uint64(p[4])<<32 | uint64(p[5])<<40 | uint64(p[6])<<48 | uint64(p[7])<<56
		// The high bit is set of what is no ASCII, of DEL when one is added, and of what is
		// less than a space when that is taken away. Only what comes after the first such
		// octet can be taken for one when it is none.
		if odd := (w | (w + eachOctet) | (w - ' '*eachOctet)) & highBits; odd != 0 {
			return i + bits.TrailingZeros64(odd)/8
		}
	}
	for i < len(s) && ' ' <= s[i] && s[i] < 0x7f {
		i++
	}
	return i
}

// twoOctets reports whether s begins with a character of two octets in UTF-8, U+0080 to
// U+07FF: the letters of Europe and the Near East.
func twoOctets(s string) bool {
	return len(s) >= 2 && 0xc2 <= s[0] && s[0] <= 0xdf && s[1]&0xc0 == 0x80
}

// illegalXML is the index of the first thing in s that XML 1.0 forbids, or -1. It is never
// -1 for what is not UTF-8.
func illegalXML(s string) int {
	for i := 0; ; {
		i += printable(s[i:])
		for i < len(s) && (s[i] < ' ' || s[i] >= 0x7f) {
			switch c := s[i]; {
			case c == '\n', c == '\r', c == '\t', c == 0x7f:
				i++
			case twoOctets(s[i:]):
				i += 2
			default:
				r, n := utf8.DecodeRuneInString(s[i:])
				if r == utf8.RuneError && n == 1 || !legalXML(r) {
					return i
				}
				i += n
			}
		}
		if i == len(s) {
			return -1
		}
	}
}

// isLine reports whether s is a line that HeaderText leaves as it is.
func isLine(s string) bool {
	if s == "" {
		return true
	}
	if s[0] == ' ' || s[len(s)-1] == ' ' {
		return false
	}
	for i := 0; ; {
		i += printable(s[i:])
		for i < len(s) && (s[i] < ' ' || s[i] >= 0x7f) {
			if twoOctets(s[i:]) && (s[i] != 0xc2 || s[i+1] >= 0xa0) { // U+0080 to U+009F are controls
				i += 2
				continue
			}
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 || breaksLine(r) {
				return false
			}
			i += n
		}
		if i == len(s) {
			return true
		}
	}
}
