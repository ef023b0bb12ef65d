package mapping

import (
	"strconv"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// What a text is cut into at most, and what a part must have room for besides its mark.
// More parts, or shorter ones, are not a message that anybody wants to put together.
const (
	maxSplit    = 99
	minPartText = 16
)

// Split cuts a text that is longer than room bytes, or than so many characters, into parts
// that are not, each with a mark in front, "(1/3) ", that counts. chars 0 is any number of
// them; what is counted are code points. The text is taken as it stands on the wire, in
// UTF-8 and with CRLF, and so are the parts. Without their marks and joined they are the
// text.
//
// No part ends within a character, in the sense of what a reader takes for one (a letter
// with its accents, an emoji put together of several, a flag), unless that alone is longer
// than a part; never within a code point or a CRLF. No word that one part could hold is
// cut: the space at a cut is the last of its part, or the first of the next where a word
// fills the part.
//
// A text that fits is the only part and has no mark. ok is false if it would take more
// than 99 parts, or a part has no room for a mark and 16 bytes or characters.
func Split(text string, room, chars int) (parts []string, ok bool) {
	if len(text) <= max(room, 0) && (chars == 0 || utf8.RuneCountInString(text) <= chars) {
		return []string{text}, true
	}
	// The marks are longer if there are ten parts or more, which may make one more part.
	for _, digits := range [...]int{1, 2} {
		if parts, ok = cutParts(text, room, chars, digits); ok {
			break
		}
	}
	if !ok {
		return nil, false
	}
	for i, p := range parts {
		parts[i] = partMark(i+1, len(parts)) + p
	}
	return parts, true
}

// Split is Split for the text of a message to SIP, room being what a request has for its
// body, and chars how many characters whoever takes it does: order and texts are those of
// Split. The subject is on the first part only; what else the message says, its date among
// it, is on all. They are messages of their own, so From tag and CSeq are left to be chosen
// for each.
//
// ok is false if the text cannot be split like this, or if the body is not plain text. The
// sender is told FailTooLarge then. Split knows nothing of the length of headers, and
// ToSIP does not call it: who measures the finished request does.
func (m *SIPMessage) Split(room, chars int) (parts []*SIPMessage, ok bool) {
	if len(m.Body) <= room && (chars == 0 || utf8.RuneCount(m.Body) <= chars) {
		return []*SIPMessage{m}, true
	}
	if m.ContentType != plainUTF8 {
		return nil, false
	}
	texts, ok := Split(string(m.Body), room, chars)
	if !ok {
		return nil, false
	}
	for i, text := range texts {
		part := *m
		part.Body, part.FromTag, part.CSeq = []byte(text), "", 0
		if i > 0 {
			part.Subject, part.Subjects = "", nil
		}
		parts = append(parts, &part)
	}
	return parts, true
}

func partMark(i, n int) string {
	return "(" + strconv.Itoa(i) + "/" + strconv.Itoa(n) + ") "
}

// cutParts cuts text into parts that have room for a mark in which the number of parts
// has so many digits. It is false if there would be more parts than that.
func cutParts(text string, room, chars, digits int) (parts []string, ok bool) {
	limit := maxSplit
	if digits == 1 {
		limit = 9
	}
	for text != "" {
		mark := len("(/) ") + digits + len(strconv.Itoa(len(parts)+1))
		left := measure{bytes: room - mark, chars: room - mark} // no more of them than bytes
		if chars > 0 {
			left.chars = chars - mark
		}
		if min(left.bytes, left.chars) < minPartText || len(parts) == limit {
			return nil, false
		}
		n := left.of(text)
		if n < len(text) {
			n = cutAt(text, left)
		}
		parts, text = append(parts, text[:n]), text[n:]
	}
	return parts, true
}

// measure is what a part may have besides its mark.
type measure struct{ bytes, chars int }

// of is how many bytes of text that is, from its beginning.
func (m measure) of(text string) int {
	most := min(m.bytes, len(text))
	if most <= m.chars { // as many code points at most
		return most
	}
	n := 0
	for range m.chars {
		if n >= most {
			return most
		}
		_, size := utf8.DecodeRuneInString(text[n:])
		n += size
	}
	return min(n, most)
}

// cutAt is where the first part of a text ends that is longer than a part may be.
func cutAt(text string, m measure) int {
	n := m.of(text)
	end := n
	for end > 0 && !isBorder(text, end) {
		end--
	}
	if end == 0 { // one character fills the part
		for end = n; !isRuneBorder(text, end); {
			end--
		}
		return end
	}
	word := end // where the word begins that is to be kept whole
	for word > 0 && !(spaceBefore(text, word) && isBorder(text, word)) {
		word--
	}
	whole := m.of(text[word:]) // as much of it as a part could hold
	length := wordLen(text[word:], whole)
	switch {
	case length > whole && word <= n/2:
		return end // no part can hold it, and this one would be half empty
	case word > 0:
		return word
	case 0 < length && length <= end && isBorder(text, length):
		return length // all of it is here, only the space after it is not
	}
	return end
}

// wordLen is the length of the word with which text begins; some length over most if it is
// longer than that.
func wordLen(text string, most int) int {
	for i, r := range text {
		if isGap(r) || i > most {
			return i
		}
	}
	return len(text)
}

func spaceBefore(text string, i int) bool {
	r, _ := utf8.DecodeLastRuneInString(text[:i])
	return isGap(r)
}

// isGap reports whether a text may be cut at r: a space that holds nothing together.
func isGap(r rune) bool {
	return unicode.IsSpace(r) && r != '\u00a0' && r != '\u2007' && r != '\u202f'
}

// isRuneBorder reports whether no code point lies on both sides of i.
func isRuneBorder(text string, i int) bool {
	for start := i - 1; start >= max(0, i-utf8.UTFMax+1); start-- {
		if utf8.RuneStart(text[start]) {
			_, n := utf8.DecodeRuneInString(text[start:])
			return start+n <= i
		}
	}
	return true
}

// isBorder reports whether a reader takes what is before i and what follows for two
// characters. It is Unicode's segmentation into grapheme clusters (UAX #29) without its
// tables: where this is in doubt it says no.
func isBorder(text string, i int) bool {
	if i <= 0 || i >= len(text) {
		return true
	}
	if text[i] < utf8.RuneSelf && text[i-1] < utf8.RuneSelf {
		return text[i] != '\n' || text[i-1] != '\r'
	}
	if !isRuneBorder(text, i) {
		return false
	}
	before, size := utf8.DecodeLastRuneInString(text[:i])
	after, _ := utf8.DecodeRuneInString(text[i:])
	switch {
	case before == zeroWidthJoiner, extends(after):
		return false
	case isFlagHalf(before) && isFlagHalf(after):
		return flagHalves(text[:i])%2 == 0
	case isLeading(after):
		return !isLeading(before)
	case isJamo(after):
		return !unicode.Is(unicode.Hangul, before)
	case unicode.IsLetter(after) && before >= utf8.RuneSelf:
		return norm.NFC.PropertiesString(text[i-size:]).CCC() != virama
	}
	return true
}

const (
	zeroWidthJoiner = '\u200d'
	virama          = 9 // combining class of what ties a letter to the next one
)

// extends reports whether r belongs to the character before it.
func extends(r rune) bool {
	switch {
	case r < 0x300:
		return false
	case r == zeroWidthJoiner, r == '\u200c', // joiners
		r == '\u0e33', r == '\u0eb3', // vowels of Thai and Lao that count as letters
		0x1F3FB <= r && r <= 0x1F3FF, // colours of skin
		0xE0020 <= r && r <= 0xE007F: // tags, in the flags of regions
		return true
	}
	return unicode.Is(unicode.M, r) // accents, vowel signs, variation selectors, keycaps
}

// isFlagHalf reports whether r is one of the letters that make a flag in pairs.
func isFlagHalf(r rune) bool { return 0x1F1E6 <= r && r <= 0x1F1FF }

// flagHalves is how many of them text ends with.
func flagHalves(text string) (n int) {
	for {
		r, size := utf8.DecodeLastRuneInString(text)
		if !isFlagHalf(r) {
			return n
		}
		n, text = n+1, text[:len(text)-size]
	}
}

// isJamo reports whether r is a piece of a Korean syllable, isLeading whether it is one
// with which a syllable begins.
func isJamo(r rune) bool {
	return 0x1160 <= r && r <= 0x11FF || 0xD7B0 <= r && r <= 0xD7FB || isLeading(r)
}

func isLeading(r rune) bool { return 0x1100 <= r && r <= 0x115F || 0xA960 <= r && r <= 0xA97C }
