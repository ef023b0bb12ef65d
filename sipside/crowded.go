package sipside

import "strings"

// What one message may have of what is read one by one. Nobody has as many: a value that
// does costs more to read than the whole of any other message.
const (
	maxParams    = 64          // of a value, and tags of all Require
	maxViaParams = 8 * maxVias // of all Via
)

// crowded names a header that has more in it than may be, "" if none has. It looks at the
// separators only; those that stand in quotes count too.
func (f *fields) crowded() string {
	for _, h := range [...]struct{ name, value string }{
		{"From", f.from}, {"To", f.to}, {"Content-Type", f.contentType}, {"Content-Disposition", f.disposition},
		{"Content-Encoding", f.encoding},
	} {
		if tooMany(h.value, maxParams) {
			return h.name
		}
	}
	if tags := len(f.require); tags > maxParams || separators(f.require, ",")+tags > maxParams {
		return "Require"
	}
	return ""
}

// tooManyVias reports whether there are more Via values, or more parameters of them, than
// are read. Only the first is ours to change: the others are repeated as they came.
func (f *fields) tooManyVias() bool {
	if len(f.vias) == 1 && len(f.vias[0]) < maxVias {
		return false
	}
	return separators(f.vias, ",")+len(f.vias) > maxVias || separators(f.vias, ";") > maxViaParams
}

func separators(rows []string, sep string) (n int) {
	for _, row := range rows {
		n += strings.Count(row, sep)
	}
	return n
}

// tooMany reports whether a value, or a URI, has more than n parameters or the like.
func tooMany[T string | []byte](v T, n int) bool {
	if len(v) <= n {
		return false
	}
	for i := 0; i < len(v); i++ {
		if c := v[i]; c == ';' || c == '&' || c == ',' {
			if n--; n < 0 {
				return true
			}
		}
	}
	return false
}
