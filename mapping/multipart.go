package mapping

import (
	"bytes"
	"strings"
)

// splitParts cuts the body of a multipart at its boundary (RFC 2046 §5.1). Lines may
// end in CRLF or LF; what is before the first delimiter and behind the last is no part.
// 400 if there is no part, or no last delimiter: the message may have been cut off. 413
// if there are more than most parts.
//
// The package of the standard library is not used: it drops what it takes for headers,
// reads an environment variable, and takes a body for whole that ends too early.
func splitParts(b []byte, boundary string, most int) ([][]byte, *Failure) {
	if boundary == "" || len(boundary) > 70 || strings.ContainsFunc(boundary, breaksLine) {
		return nil, FailBadRequest("boundary")
	}
	var parts [][]byte
	start := -1 // where the open part starts; -1 in the preamble
	for pos := 0; pos < len(b); {
		line, rest := nextLine(b[pos:])
		next := len(b) - len(rest)
		if delimiter, last := isDelimiter(line, boundary); delimiter {
			if start >= 0 {
				if len(parts) == most {
					return nil, FailTooLarge(0)
				}
				parts = append(parts, b[start:endOfPart(b, start, pos)])
			}
			if last && start < 0 {
				break
			}
			if last {
				return parts, nil
			}
			start = next
		}
		pos = next
	}
	return nil, FailBadRequest("multipart")
}

// isDelimiter reports whether line is "--boundary", or the last one, "--boundary--".
// Blanks may follow.
func isDelimiter(line []byte, boundary string) (delimiter, last bool) {
	if len(line) < 2+len(boundary) || line[0] != '-' || line[1] != '-' || string(line[2:2+len(boundary)]) != boundary {
		return false, false
	}
	line = bytes.TrimRight(line[2+len(boundary):], " \t")
	last = string(line) == "--"
	return last || len(line) == 0, last
}

// endOfPart is where the part that starts at start ends, before the delimiter line at
// pos: the line end in front of a delimiter belongs to it.
func endOfPart(b []byte, start, pos int) int {
	if pos > start && b[pos-1] == '\n' {
		if pos--; pos > start && b[pos-1] == '\r' {
			pos--
		}
	}
	return pos
}

// maxPartHeaders is how many header lines a part may have.
const maxPartHeaders = 64

// parsePart takes the headers off a part; typ is its type if they do not say. Where they
// break the grammar that is for who reads the part: not every one is read.
func parsePart(b []byte, typ string) entity {
	e := entity{}
	seen := false
	var value *string // of the header that a next line may go on with
	for lines := 0; len(b) > 0; lines++ {
		var line []byte
		if line, b = nextLine(b); len(line) == 0 {
			break
		}
		if lines == maxPartHeaders {
			return entity{broken: FailBadRequest("headers of a part")}
		}
		if isBlank(line[0]) && lines > 0 {
			if value != nil {
				*value += " " + string(bytes.Trim(line, " \t"))
			}
			continue
		}
		name, val, ok := bytes.Cut(line, []byte(":"))
		if name = bytes.TrimRight(name, " \t"); !ok || !isToken(string(name)) {
			return entity{broken: FailBadRequest("headers of a part")}
		}
		value = e.header(lower(string(name)))
		if value != nil && *value != "" {
			value = nil // the first of its name counts
		}
		if value != nil {
			*value = string(bytes.Trim(val, " \t"))
		}
		seen = seen || value == &e.typ
	}
	if !seen {
		e.typ = typ
	}
	e.data = b
	return e
}

// header is the field for a header of that name, nil if it says nothing to us.
func (e *entity) header(name string) *string {
	switch name {
	case "content-type":
		return &e.typ
	case "content-encoding":
		return &e.encoding
	case "content-transfer-encoding":
		return &e.transfer
	case "content-disposition":
		return &e.disposition
	case "content-language":
		return &e.lang
	case "content-id":
		return &e.id
	}
	return nil
}
