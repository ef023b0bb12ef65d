package config

import (
	"fmt"
	"io"
	"log/slog"
	"net/url"
)

// masked stands for a secret wherever it could be seen.
const masked = "********"

// Secret is a text that must not be seen. However it is printed, logged or
// marshalled, only stars come out; Reveal gives the text.
type Secret string

// Reveal is the text itself, for the one place that needs it.
func (s Secret) Reveal() string { return string(s) }

// String masks the secret. The empty one stays empty, so that "none" can be
// told from "some".
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return masked
}

// Format masks the secret for every verb of fmt. Without it %d would print the
// text in its complaint about the verb.
func (s Secret) Format(f fmt.State, verb rune) {
	if verb == 'q' || f.Flag('#') {
		_, _ = io.WriteString(f, `"`+s.String()+`"`)
		return
	}
	_, _ = io.WriteString(f, s.String())
}

// GoString masks the secret for %#v.
func (s Secret) GoString() string { return `"` + s.String() + `"` }

// LogValue masks the secret for slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText masks the secret for JSON, XML and the like.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// maskURL is a URL with its password masked, and whatever stands in a query,
// where some drivers take one, too.
func maskURL(s Secret) string {
	u, err := url.Parse(string(s))
	if err != nil {
		return s.String()
	}
	q := u.Query()
	for name := range q {
		if name != "sslmode" && name != "host" {
			q.Set(name, "xxxxx") // as Redacted does
		}
	}
	u.RawQuery = q.Encode()
	return u.Redacted()
}
