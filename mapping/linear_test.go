package mapping

import (
	"fmt"
	"maps"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// The cost of a message grows with its length and not faster, whatever is in it: counted in
// what is allocated, which no other load on the machine changes.

// costOf is how often f asks for memory, and for how much: the least of a few times, as the
// runtime asks for some now and then.
func costOf(f func()) (count, octets uint64) {
	f() // what is made once
	count, octets = math.MaxUint64, math.MaxUint64
	for range 3 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		count, octets = min(count, after.Mallocs-before.Mallocs), min(octets, after.TotalAlloc-before.TotalAlloc)
	}
	return count, octets
}

// linearTexts are texts by what they consist of: what is passed through, what is replaced,
// and what makes it longer.
var linearTexts = map[string]string{
	"ASCII":      "Art thou not Romeo? ",
	"UTF-8":      "Prosím, 🎭 ",
	"one word":   "a",
	"line ends":  "\n",
	"CRLF":       "a\r\n",
	"CR":         "\r",
	"illegal":    "\x00",
	"U+FFFE":     "\ufffe",
	"markup":     "<&>\"'",
	"links":      "https://example.net/ ",
	"flowed":     "> a \n",
	"backslash":  `\`,
	"encoded":    "%41",
	"at":         "@",
	"semicolons": ";",
	"boundaries": "--b\r\n",
	"spaces":     " ",
}

// repeated is a text of n octets, or a few less so that it ends with a whole piece, in
// letters at both ends.
func repeated(piece string, n int) string { return "x" + strings.Repeat(piece, (n-2)/len(piece)) + "x" }

func TestMessagesAreLinear(t *testing.T) {
	r := testRules(t)
	links := make([]string, maxLinks)
	for i := range links {
		links[i] = fmt.Sprintf("https://example.net/%d", i)
	}
	toXMPP := func(typ string) func(string) {
		return func(text string) {
			m := sipMessage(text)
			m.ContentType = typ
			r.ToXMPP(m)
		}
	}
	ways := map[string]func(string){
		"ToSIP":                  func(text string) { r.ToSIP(xmppMessage(text)) },
		"ToXMPP":                 toXMPP("text/plain"),
		"ToXMPP in windows-1252": toXMPP("text/plain;charset=windows-1252"),
		"ToXMPP flowed":          toXMPP("text/plain;format=flowed"),
		"ToXMPP of HTML":         toXMPP("text/html"),
		"ToXMPP of a multipart":  toXMPP("multipart/mixed;boundary=b"),
		"ToXMPP of a CPIM": func(text string) {
			m := sipMessage("From: <im:a@b>\r\nTo: <im:a@b>\r\n\r\nContent-Type: text/plain\r\n\r\n" + text)
			m.ContentType = TypeCPIM
			r.ToXMPP(m)
		},
		"ToSIP with links": func(text string) {
			m := xmppMessage(text)
			m.URLs = links
			r.ToSIP(m)
		},
		"ToSIP of a subject and a thread": func(text string) {
			m := xmppMessage("hi")
			m.Subjects, m.Thread, m.Lang = []Text{{Value: text}}, text, text
			r.ToSIP(m)
		},
		"ToXMPP of a subject, a name and a Call-ID": func(text string) {
			m := sipMessage("hi")
			m.Subject, m.CallID, m.Name, m.Lang = text, text, text, text
			r.ToXMPP(m)
		},
		"Wrap and Unwrap": func(text string) {
			m := sipMessage(text)
			m.Subject = text
			m.Wrap().Unwrap()
		},
		"Split":                func(text string) { sipMessage(text).Split(1000, 0) },
		"ReasonText":           func(text string) { ReasonText(text) },
		"sentence":             func(text string) { sentence(text) },
		"ParseJID":             func(text string) { ParseJID(text + "@example.com/" + text) },
		"ParseURI":             func(text string) { ParseURI("sip:" + text + "@example.com;gr=" + text) },
		"ParseURI of a number": func(text string) { ParseURI("tel:+1" + text) },
		"addresses": func(text string) {
			u := URI{Scheme: "sip", User: text, Host: "example.net", GR: text}
			r.Sender(u)
			_ = u.String() + u.AOR()
		},
		"FailureFromStatus": func(text string) { FailureFromStatus(302, text, 0, []string{text}) },
	}
	for _, way := range slices.Sorted(maps.Keys(ways)) {
		for _, name := range slices.Sorted(maps.Keys(linearTexts)) {
			short, long := repeated(linearTexts[name], 1000), repeated(linearTexts[name], 10_000)
			n1, b1 := costOf(func() { ways[way](short) })
			n10, b10 := costOf(func() { ways[way](long) })
			// Ten times the text: twenty for the rounding of sizes, and a little for what is
			// made only when there is more.
			if b10 > 20*b1+8<<10 || n10 > 20*n1+50 {
				t.Errorf("%s, %s: %d allocations of %d octets for 1 kB, %d of %d for 10 kB", way, name, n1, b1, n10, b10)
			}
		}
	}
}

// A plain message of any length takes the same few pieces of memory, and no more copies of
// its text than one: that in which it goes on.
func TestPlainMessagesAreCopiedOnce(t *testing.T) {
	r := testRules(t)
	for _, name := range []string{"ASCII", "UTF-8", "one word", "CRLF", "links", "markup"} {
		for way, f := range map[string]func(string) func(){
			"ToSIP": func(text string) func() {
				m := xmppMessage(strings.ReplaceAll(text, "\r\n", "\n"))
				return func() { r.ToSIP(m) }
			},
			"ToXMPP": func(text string) func() {
				m := sipMessage(text)
				return func() { r.ToXMPP(m) }
			},
		} {
			short, long := repeated(linearTexts[name], 100), repeated(linearTexts[name], 10_000)
			n, fixed := costOf(f(short))
			m, octets := costOf(f(long))
			if n > 4 || m != n {
				t.Errorf("%s, %s: %d allocations for 100 octets, %d for 10,000", way, name, n, m)
			}
			if most := fixed + uint64(len(long))*5/4; octets > most {
				t.Errorf("%s, %s: %d octets for a text of %d, want at most %d", way, name, octets, len(long), most)
			}
		}
	}
}
