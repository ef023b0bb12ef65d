package mapping

import (
	"bytes"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/unicode"
)

var (
	bomUTF8  = []byte("\xef\xbb\xbf")
	bomUTF16 = []byte("\xfe\xff")
	bomLE    = []byte("\xff\xfe")
)

// decodeText reads a text in the charset of that name: UTF-8 if it is "", else one of
// the WHATWG index (CT-12), under every name that the index has for it. The result has LF
// and nothing that XML forbids.
//
// As in that standard a byte order mark decides, whatever the name says, and is no part
// of the text; without one UTF-16 is little-endian; iso-8859-1 is windows-1252; and octets
// that the charset has no character for become U+FFFD, since the rest can be read all
// the same. There are two differences. What claims to be UTF-8 and is not gets 400
// (im.md §6): the whole text is in another charset then, not an octet of it. And
// what says us-ascii is UTF-8 if it can be, because that is what its senders mean.
//
// 415 is for names that are not in the index, and for those that it has only to forbid
// them ("replacement": hz-gb-2312, iso-2022-kr ...).
func decodeText(b []byte, charset string) (string, *Failure) {
	enc := encoding.Encoding(unicode.UTF8)
	switch charset = lower(charset); charset {
	case "", "utf-8":
	default:
		var err error
		if enc, err = htmlindex.Get(charset); err != nil || enc == encoding.Replacement {
			return "", FailUnsupportedType()
		}
	}
	switch {
	case bytes.HasPrefix(b, bomUTF8):
		enc = unicode.UTF8
	case bytes.HasPrefix(b, bomUTF16):
		enc, b = unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM), b[len(bomUTF16):]
	case bytes.HasPrefix(b, bomLE):
		enc, b = unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM), b[len(bomLE):]
	case isASCII(charset) && utf8.Valid(b):
		enc = unicode.UTF8
	}
	if enc == unicode.UTF8 {
		return decodeUTF8(b)
	}
	out, err := enc.NewDecoder().Bytes(b)
	if err != nil { // a decoder replaces what it cannot read, so this does not happen
		return "", FailBadText()
	}
	return XMLText(fromCRLF(out)), nil
}

// decodeUTF8 is decodeText for UTF-8.
func decodeUTF8(b []byte) (string, *Failure) {
	text := fromCRLF(bytes.TrimPrefix(b, bomUTF8))
	if illegalXML(text) < 0 { // which is to say that it is UTF-8
		return text, nil
	}
	if !utf8.ValidString(text) {
		return "", FailBadText()
	}
	return XMLText(text), nil
}

// isASCII reports whether a name of windows-1252 in the WHATWG index is one of ASCII.
func isASCII(charset string) bool {
	switch charset {
	case "us-ascii", "ascii", "ansi_x3.4-1968":
		return true
	}
	return false
}
