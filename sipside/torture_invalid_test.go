package sipside

import "strings"

// plain is a good request; the cases of RFC 4475 §3.1.2 are edits of it.
const plain = `
{method} sip:juliet@example.com SIP/2.0
To: <sip:juliet@example.com>
From: <sip:romeo@example.net>;tag=134161461246
Max-Forwards: 7
Call-ID: broken
CSeq: 8 {method}
Via: SIP/2.0/{net} 192.0.2.9;rport;branch={branch}
Content-Type: text/plain
Content-Length: {length}

hi`

// edited replaces parts of plain: old, new, old, new ...
func edited(parts ...string) string {
	s := plain
	for i := 0; i < len(parts); i += 2 {
		if !strings.Contains(s, parts[i]) {
			panic("plain has no " + parts[i])
		}
		s = strings.Replace(s, parts[i], parts[i+1], 1)
	}
	return s
}

// RFC 4475 §3.1.2: messages that break the syntax.
func tortureInvalid() []tortured {
	const (
		uri  = "sip:juliet@example.com"
		to   = "<sip:juliet@example.com>"
		from = "<sip:romeo@example.net>"
	)
	return []tortured{
		{
			name: "badinv01", section: "3.1.2.1", what: "separators without anything between them, in Via",
			text: edited("192.0.2.9;rport;branch={branch}", "192.0.2.9;;,;,,"), udp: gets(400), tcp: gets(400), also: map[string]int{"INVITE": 400},
		},
		{
			name: "badinv01", section: "3.1.2.1", what: "the same, but one at the end",
			text: edited("branch={branch}", "branch={branch};"), udp: gets(200), tcp: gets(200),
			why: "liberal: it says nothing and hides nothing",
		},
		{
			name: "badinv01", section: "3.1.2.1", what: "the same in Contact",
			text: edited("Content-Type", "Contact: \"Joe\" <sip:joe@example.net>;;;;\nContent-Type"), udp: gets(200), tcp: gets(200), also: map[string]int{"INVITE": 405},
			why: "Contact has no meaning in a MESSAGE (RFC 3428 §9) and is not read",
		},
		{
			name: "clerr", section: "3.1.2.2", what: "a Content-Length beyond the end",
			text: edited("{length}", "9999"), udp: gets(400), tcp: fate{nil, waits},
			why: "in a stream the rest may still come; it is waited for, and the connection closed, as TestStreamTimers shows",
		},
		{
			name: "ncl", section: "3.1.2.3", what: "a negative Content-Length",
			text: edited("{length}", "-999"), udp: gets(400), tcp: fate{[]int{400}, ends},
		},
		{
			name: "scalar02", section: "3.1.2.4", what: "a CSeq beyond 2^31", text: edited("CSeq: 8", "CSeq: 36893488147419103232"),
			udp: gets(400), tcp: gets(400), also: map[string]int{"REGISTER": 400},
		},
		{
			name: "scalar02", section: "3.1.2.4", what: "a Max-Forwards beyond 255", text: edited("Max-Forwards: 7", "Max-Forwards: 300"), udp: gets(400), tcp: gets(400),
			why: "the RFC lets us take it for absent; it is refused, as what protects from loops must not be without effect",
		},
		{
			name: "scalar02", section: "3.1.2.4", what: "overlarge times",
			text: edited("Content-Type", "Expires: 1"+strings.Repeat("0", 100)+"\nContact: <sip:romeo@192.0.2.9>\n  ;expires=280297596632815\nContent-Type"),
			udp:  gets(200), tcp: gets(200), is: []string{"expires=1193046h28m15s"},
			why: "the longest time that Expires can say (RFC 3261 §20.19), where the RFC proposes its default, as it has none for MESSAGE",
		},
		{
			name: "quotbal", section: "3.1.2.6", what: "a display name without its second quote, in To", text: edited(to, `"Mr. J. User `+to),
			udp: gets(400), tcp: gets(400), also: map[string]int{"INVITE": 400},
		},
		{
			name: "quotbal", section: "3.1.2.6", what: "the same in From", text: edited(from, `"Mr. R. User `+from), udp: gets(400), tcp: gets(400),
		},
		{
			name: "ltgtruri", section: "3.1.2.7", what: "<> around the Request-URI", text: edited(uri, "<"+uri+">", ";rport;branch={branch}", ""),
			udp: gets(400), tcp: gets(400), also: map[string]int{"INVITE": 400},
		},
		{
			name: "lwsruri", section: "3.1.2.8", what: "a blank in the Request-URI", text: edited(uri, uri+"; lr"),
			udp: gets(400), tcp: gets(400), also: map[string]int{"INVITE": 400},
		},
		{
			name: "lwsstart", section: "3.1.2.9", what: "two blanks in the request line", text: edited(" "+uri+" ", "  "+uri+"  "),
			udp: gets(400), tcp: gets(400), also: map[string]int{"INVITE": 400},
		},
		{
			name: "trws", section: "3.1.2.10", what: "blanks at the end of the request line", text: edited(uri+" SIP/2.0", uri+" SIP/2.0  "),
			udp: gets(400), tcp: gets(400), also: map[string]int{"OPTIONS": 400},
		},
		{
			name: "escruri", section: "3.1.2.11", what: "headers in the Request-URI", text: edited(uri, uri+"?Route=%3Csip:mantua.example.net%3E"),
			udp: gets(200), tcp: gets(200), also: map[string]int{"INVITE": 405}, is: []string{"to=" + uri},
			why: "liberal: they are dropped, and become no headers",
		},
		{
			name: "baddate", section: "3.1.2.12", what: "a Date in another time zone than GMT", text: edited("Content-Type", "Date: Fri, 01 Jan 2010 16:00:00 EST\nContent-Type"),
			udp: gets(200), tcp: gets(200), also: map[string]int{"INVITE": 405}, is: []string{"date="},
			why: "liberal: it only informs, and what cannot be read says nothing",
		},
		{
			name: "regbadct", section: "3.1.2.13", what: "an address with headers and without <>, in Contact",
			text: edited("Content-Type", "Contact: sip:romeo@example.net?Route=%3Csip:mantua.example.net%3E\nContent-Type"), udp: gets(200), tcp: gets(200), also: map[string]int{"REGISTER": 405},
			why: "Contact is not read, and there is no registrar; in From, which is, see the next",
		},
		{
			name: "regbadct", section: "3.1.2.13", what: "the same in From", text: edited(from, "sip:romeo@example.net?Route=%3Csip:mantua.example.net%3E"), udp: gets(400), tcp: gets(400),
		},
		{
			name: "badaspec", section: "3.1.2.14", what: "blanks within <>", text: edited(to, `"Capulet, Juliet" < sip:juliet@example.com >`, from, "< sip:romeo@example.net >"),
			udp: gets(200), tcp: gets(200), also: map[string]int{"OPTIONS": 200}, is: []string{"from=sip:romeo@example.net", "To=" + uri},
			why: "liberal, as the RFC allows",
		},
		{
			name: "baddn", section: "3.1.2.15", what: "display names that should be quoted", text: edited(to, "Capulet, Juliet "+to, from, "Montague, Romeo "+from),
			udp: gets(200), tcp: gets(200), also: map[string]int{"OPTIONS": 200}, is: []string{"name=Montague, Romeo"},
			why: "liberal: the quotes are inferred, as the RFC allows",
		},
		{
			name: "badvers", section: "3.1.2.16", what: "another version", text: edited(uri+" SIP/2.0", uri+" SIP/7.0", "SIP/2.0/{net}", "SIP/7.0/{net}", "Max-Forwards: 7", "Max-Backwards: x"),
			udp: gets(505), tcp: gets(505), also: map[string]int{"OPTIONS": 505},
		},
		{
			name: "mismatch01", section: "3.1.2.17", what: "another method in CSeq", text: edited("CSeq: 8 {method}", "CSeq: 8 INVITE"), udp: gets(400), tcp: gets(400), also: map[string]int{"OPTIONS": 400},
		},
		{
			name: "mismatch02", section: "3.1.2.18", what: "the same for a method that nobody knows", text: edited("{method} sip", "NEWMETHOD sip", "CSeq: 8 {method}", "CSeq: 8 INVITE"), udp: gets(400), tcp: gets(400),
			why: "the RFC would rather have 501, and takes 400 for acceptable: here syntax is judged before methods (RFC 3261 §8.2)",
		},
	}
}
