package mapping

import (
	"bytes"
	"encoding/base64"
	"strings"
)

// decodeTransfer undoes a Content-Transfer-Encoding (RFC 2045 §6), which parts and the
// content of a message/cpim can have: 415 if it is unknown, 400 if the data breaks it.
func decodeTransfer(b []byte, transfer string) ([]byte, *Failure) {
	ok := true
	switch lower(strings.Trim(transfer, " \t")) {
	case "", "7bit", "8bit", "binary":
	case "base64":
		b, ok = decodeBase64(b)
	case "quoted-printable":
		b, ok = decodeQuotedPrintable(b)
	default:
		return nil, FailUnsupportedType()
	}
	if !ok {
		return nil, FailBadRequest("Content-Transfer-Encoding")
	}
	return b, nil
}

// decodeBase64 takes lines of any length; the padding may be missing.
func decodeBase64(b []byte) ([]byte, bool) {
	text := make([]byte, 0, len(b))
	for _, c := range b {
		if !isBlank(c) && c != '\r' && c != '\n' {
			text = append(text, c)
		}
	}
	for range 2 {
		text = bytes.TrimSuffix(text, []byte("="))
	}
	out := make([]byte, base64.RawStdEncoding.DecodedLen(len(text)))
	n, err := base64.RawStdEncoding.Decode(out, text)
	return out[:n], err == nil
}

// decodeQuotedPrintable takes lines of any length and with either end. Octets that
// should have been encoded are taken as they are.
func decodeQuotedPrintable(b []byte) ([]byte, bool) {
	out := make([]byte, 0, len(b))
	for len(b) > 0 {
		line, rest := nextLine(b)
		end := b[len(line) : len(b)-len(rest)]
		b = rest
		line = bytes.TrimRight(line, " \t") // padding by transports, §6.7 (3)
		if bytes.HasSuffix(line, []byte("=")) {
			line, end = line[:len(line)-1], nil // a soft line break, §6.7 (5)
		}
		for i := 0; i < len(line); i++ {
			c := line[i]
			if c == '=' {
				if i+2 >= len(line) {
					return nil, false
				}
				hi, lo := unhex(line[i+1]), unhex(line[i+2])
				if hi < 0 || lo < 0 {
					return nil, false
				}
				c = byte(hi<<4 | lo)
				i += 2
			}
			out = append(out, c)
		}
		out = append(out, end...)
	}
	return out, true
}
