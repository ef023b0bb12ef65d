package component

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

// escapedSlowly says the same as appendEscaped, one character after the other.
func escapedSlowly(s string, attr bool) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1, r == 0xFFFE, r == 0xFFFF:
			b.WriteString("\uFFFD")
		case r == '&':
			b.WriteString("&amp;")
		case r == '<':
			b.WriteString("&lt;")
		case r == '>':
			b.WriteString("&gt;")
		case r == '\'' && attr:
			b.WriteString("&apos;")
		case r == '\t' && attr:
			b.WriteString("&#9;")
		case r == '\n' && attr:
			b.WriteString("&#10;")
		case r == '\r':
			b.WriteString("&#13;")
		case r < ' ' && r != '\t' && r != '\n':
			b.WriteString("\uFFFD")
		default:
			b.WriteString(s[i : i+size])
		}
		i += size
	}
	return b.String()
}

// SEC-20: wherever an octet stands among others, it is written as it is by itself.
func TestEscapedAnywhere(t *testing.T) {
	for c := range 256 {
		for _, around := range []string{"aaaaaaaaaaaaaaaaa", "\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f", "          ", "&'<>&'<>&'<>&'<>&", "\x00\x01\x1f\x00\x01\x1f\x00\x01\x1f", "\xff\x80\xc3\xbf\xe2\x82\xac\xef\xbf\xbf"} {
			for at := range len(around) + 1 {
				s := around[:at] + string([]byte{byte(c)}) + around[at:]
				for _, attr := range []bool{false, true} {
					if got, want := string(appendEscaped(nil, s, attr)), escapedSlowly(s, attr); got != want {
						t.Fatalf("%q (attribute %v) becomes %q, want %q", s, attr, got, want)
					}
				}
			}
		}
	}
}

func FuzzAppendEscaped(f *testing.F) {
	for _, s := range []string{"", "plain", "a < b && c > d, 'e'\t\n\r\x00", "naïve café — 日本", "1234567é", "\xff1234567\xef\xbf\xbe", "12345678'1234567&"} {
		f.Add(s, true)
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, s string, attr bool) {
		if got, want := string(appendEscaped([]byte("x"), s, attr)), "x"+escapedSlowly(s, attr); got != want {
			t.Errorf("%q becomes %q, want %q", s, got, want)
		}
	})
}

// A barrier is written as a ping is.
func TestAppendBarrier(t *testing.T) {
	for _, tt := range []struct {
		kind byte
		n    uint64
		to   string
	}{{'b', 1, testDomain}, {'d', 18446744073709551615, "o'brien.example"}} {
		id := fmt.Sprintf("PING-%c%d", tt.kind, tt.n)
		if got, want := appendBarrier(nil, testDomain, tt.to, "PING", tt.kind, tt.n), appendPing(nil, testDomain, tt.to, id); !bytes.Equal(got, want) {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
