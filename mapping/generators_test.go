package mapping

import (
	"strings"
	"unicode"

	"pgregory.net/rapid"
)

// Generators for addresses: mostly such that something happens.

var asciiTable = &unicode.RangeTable{R16: []unicode.Range16{{Lo: 0, Hi: 0x7f, Stride: 1}}, LatinOffset: 1}

// userPieces are what makes a user part interesting: characters that one side
// escapes, escapes that must be left alone, numbers, other scripts.
var userPieces = []string{
	"a", "b", "romeo", "Alice", "o'malley", "m&m", "7001", "1001", "+49", "+12125550123", "2125550123", "03012345678", "0044", "(212)", "-", ".",
	"@", "/", ":", "<", ">", `"`, "'", "&", " ", `\`, `\20`, `\40`, `\5c`, `\3a`, `\3A`, `\2f`, `\27`, `\41`, `\5`, "5c", "40", "20",
	"%", "%40", "#", ";", "=", "?", ",", "+", "$", "!", "*", "~", "_", "^", "`", "{", "|", "}", "[", "]",
	";phone-context=example.com", ";phone-context=+1", ";ext=5", ";isub=1", "@example.org", `\40example.org`, `\40example.net`, `\40example.com`,
	`\40[2001\3adb8\3a\3a9]`, `\403a5070`, `\40voip.example`, `\40xn--bcher-kva.example`,
	"ü", "Ü", "ß", "Σ", "σ", "ς", "π", "u\u0308", "\u0307", "\u0327", "\u0338", "ａ", "＠", "＼", "Ⅳ", "♚", "א", "ب", "中", "ｶ", "İ", "\u200d", "\u00a0",
	"\x00", "\r\n", "\x7f", "\u0085",
}

func pieces(from []string, min, max int) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(rapid.SampledFrom(from), min, max).Draw(t, "pieces"), "")
	})
}

func anyUser() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.StringMatching(`[a-z0-9.+_-]{1,12}`),
		pieces(userPieces, 1, 4),
		rapid.StringN(1, 20, 60),
		rapid.StringMatching(`[+]?[0-9().-]{1,16}`),
	)
}

var someDomains = []string{
	"example.com", "xmpp.example", "bücher.example", "xn--bcher-kva.example", "sip.example.com", "sip.example", "net.sip.example.com", "example.net",
	"example.org", "voip.example", "pstn.example.net", "pbx.example.net", "elsewhere.example", "EXAMPLE.com", "example.com.", "192.0.2.4", "[2001:db8::9]",
	"[::ffff:192.0.2.4]", "1.2.3", "localhost", "a--b.example", "ｅxample.com", "münchen.example", "xn--a", "-a.example", "a_b.example", "",
}

func anyDomain() *rapid.Generator[string] {
	return rapid.OneOf(rapid.SampledFrom(someDomains), rapid.SampledFrom(someDomains), rapid.StringMatching(`[a-z0-9üßא。.-]{1,20}`))
}

func anyResource() *rapid.Generator[string] {
	return rapid.OneOf(rapid.Just(""), rapid.StringMatching(`/[a-zA-Z0-9 ;=@/♚-]{0,10}`), pieces(append([]string{"/"}, userPieces...), 0, 4), rapid.String())
}

// anyJID is the text of something like a JID.
func anyJID() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		s := anyDomain().Draw(t, "domain") + anyResource().Draw(t, "resource")
		if rapid.IntRange(0, 5).Draw(t, "local?") > 0 {
			s = anyUser().Draw(t, "local") + "@" + s
		}
		return s
	})
}

// anyURI is the text of something like a SIP URI. The user is percent-encoded in
// one half of the cases.
func anyURI() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		user := anyUser().Draw(t, "user")
		if rapid.Bool().Draw(t, "encode") {
			user = string(appendPercent(nil, user, userRaw))
		}
		s := rapid.SampledFrom([]string{"sip:", "sip:", "sip:", "SIP:", "im:", "pres:", "tel:", "sips:", "http:", ""}).Draw(t, "scheme")
		if s != "tel:" && rapid.IntRange(0, 5).Draw(t, "user?") > 0 {
			s += user + rapid.SampledFrom([]string{"", "", "", ":secret"}).Draw(t, "password") + "@"
		} else if s == "tel:" {
			return s + user
		}
		s += anyDomain().Draw(t, "domain") + rapid.SampledFrom([]string{"", "", "", ":5060", ":5070", ":0", ":99999", ":x"}).Draw(t, "port")
		for range rapid.IntRange(0, 2).Draw(t, "params") {
			s += rapid.SampledFrom([]string{";gr", ";gr=x", ";gr=My%20Phone", ";gr=%FF", ";gr=%00", ";GR=a%3Bb%3d", ";user=phone", ";user=ip", ";transport=TCP",
				";transport=", ";lr", ";maddr=192.0.2.1", ";x=%ZZ", ";", ";gr=" + strings.Repeat("r", 1024)}).Draw(t, "param")
		}
		return s + rapid.SampledFrom([]string{"", "", "?subject=hi", "?", "?a=b@c"}).Draw(t, "headers")
	})
}
