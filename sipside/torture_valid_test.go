package sipside

import "strings"

// RFC 4475 §3.1.1: well-formed messages. "The RFC" below is this one.
func tortureValid() []tortured {
	binary := "\x30\x82\x00\x01\r\x00\n\xff\xfe\r\n\r\n\x7f"
	mixed := "--verona\nContent-Type: text/plain\nContent-Transfer-Encoding: binary\n\nhi\n--verona\n" +
		"Content-Type: application/octet-stream\nContent-Transfer-Encoding: binary\n\n" + binary + "\n--verona--\n"
	return []tortured{
		{
			name: "wsinv", section: "3.1.1.1", what: "blanks, folding, compact names, empty and unknown headers",
			text: `
{method} sip:juliet@example.com;unheard-of SIP/2.0
TO :
 <sip:juliet@example.com>   ;   colour  = blue
fRoM    : "Romeo \\\""   <sip:romeo@example.net>
  ;
	  tag  = ab.12
MAX-forwards:    0070
I : windy@verona.example.net
content-length   : {length}
cseq: 00041
  	 {method}
Via  : SIP   /  2.0
  /{net}
   192.0.2.9 ;rport ;branch=no-cookie
S :
Brand-New: one
  two
Separators: ;;,,;,=;
Content-Type : text/plain
v:  SIP/ 2.0 / TCP   mantua.example.net  ;
 branch =   z9hG4bKmantua , SIP /2.0/ UDP 192.0.2.77 ; branch=
 z9hG4bKfriar
M:"Balcony \"east\"" <sip:romeo@example.net> ; fresh =
   paint; q  =  0.5
Route:
 <sip:gw.example.com;lr;odd=yes;flag>

But soft!
`,
			udp: gets(200), tcp: gets(200), also: map[string]int{"INVITE": 405},
			is: []string{`name=Romeo \"`, "tag=ab.12", "cseq=41", "id=windy@verona.example.net", "subject=", "to=sip:juliet@example.com", "body=But soft!\r\n"},
		},
		{
			name: "intmeth", section: "3.1.1.2", what: "all the characters that a token, an address, a Call-ID may have",
			text: `
{method} sip:1'odd~(user.)&=+$,;?/x:pa&=+$,ss@example.com SIP/2.0
Via: SIP/2.0/{net} 192.0.2.9;rport;branch=z9hG4bK-.!%66*_+{tick}'~
To: "a \\ b \" c \é" <sip:1'odd~(user.)&=+$,;?/x@example.com>
From: token~{tick}1 token'+_2 to*%!.-ken <sip:romeo@example.net>;p''~+*_!.-%="Ромео";tag=_t~1'+{tick}*%!-.
Call-ID: w%Z-!.*_+'{tick}~)(><:\/"][?}{@x
CSeq: 2147483647 {method}
Max-Forwards: 255
x-!.%*+_{tick}'~: ` + "\ufeff大停電" + `
Content-Type: text/plain
Content-Length: {length}

hi`,
			udp: gets(200), tcp: gets(200), also: map[string]int{"!Odd'Method-0_*+`.%~": 501, "INVITE": 405},
			is: []string{"name=token~`1 token'+_2 to*%!.-ken", "tag=_t~1'+`*%!-.", "user=1'odd~(user.)&=+$,;?/x", "cseq=2147483647", "id=w%Z-!.*_+'`~)(><:\\/\"][?}{@x"},
		},
		{
			name: "intmeth", section: "3.1.1.2", what: "control characters, quoted",
			text: "{method} sip:juliet@example.com SIP/2.0\nVia: SIP/2.0/{net} 192.0.2.9;rport;branch={branch}\n" +
				"To: \"BEL:\\\x07 NUL:\\\x00 DEL:\\\x7f\" <sip:juliet@example.com>\nFrom: <sip:romeo@example.net>;tag=1\nCall-ID: bell\n" +
				"CSeq: 1 {method}\nContent-Length: {length}\nContent-Type: text/plain\n\nhi",
			udp: gets(400), tcp: gets(400), also: map[string]int{"!Odd": 400},
			why: "valid by the grammar; we refuse control characters in headers whether quoted or not, as nothing good is made of them and other programs stumble over them (SEC-21)",
		},
		{
			name: "esc01", section: "3.1.1.3", what: "escapes in addresses, which are undone once",
			text: `
{method} sip:sips%3Ajuliet%40example.com@example.com SIP/2.0
To: sip:%6Au%6Ciet@example.com
From: <sip:fair%20verona@example.net>;tag=938
Max-Forwards: 70
i: escaped
CSeq: 234234 {method}
Via: SIP/2.0/{net} 192.0.2.9;rport;branch={branch}
C: text/plain
Contact:
  <sip:r%6Fmeo@192.0.2.9;%6C%72;n%61me=v%61lue%25%34%31>
Content-Length: {length}

hi`,
			udp: gets(200), tcp: gets(200), also: map[string]int{"INVITE": 405},
			is: []string{"user=sips:juliet@example.com", "To=sip:juliet@example.com", "from user=fair verona", "type=text/plain"},
		},
		{
			name: "escnull", section: "3.1.1.4", what: "escaped null in From",
			text: escapedNull("juliet", "null-%00-null"), udp: gets(400), tcp: gets(400), also: map[string]int{"REGISTER": 405},
			why: "nobody with such a name can exist in XMPP, so nothing could answer them",
		},
		{
			name: "escnull", section: "3.1.1.4", what: "escaped null in the Request-URI",
			text: escapedNull("null-%00-null", "romeo"), udp: gets(404), tcp: gets(404), also: map[string]int{"REGISTER": 405},
			why: "it is not cut at the null: that would be a message to somebody else",
		},
		{
			name: "escnull", section: "3.1.1.4", what: "escaped nulls in To and Contact, which decide nothing",
			text: strings.Replace(escapedNull("juliet", "romeo"), "To: <sip:juliet", "To: <sip:%00%00", 1), udp: gets(200), tcp: gets(200),
			is: []string{"To=sip:juliet@example.com"},
		},
		{
			name: "esc02", section: "3.1.1.5", what: "percent signs that escape nothing",
			text: `
{method} sip:juliet@example.com SIP/2.0
To: "%Z%45" <sip:juliet@example.com>
From: "%Z%45" <sip:romeo@example.net>;tag=f232
Call-ID: percent
Via: SIP/2.0/{net} 192.0.2.9;rport;branch=z9hG4bK209%fzsnel234
CSeq: 29344 {method}
Max-Forwards: 70
Contact: <sip:alias1@192.0.2.9>
C%61ll-ID: this is another header
C%6Fntent-Type: and so is this
Content-Type: text/plain
l: {length}

hi`,
			udp: gets(200), tcp: gets(200), also: map[string]int{"M%45SSAGE": 501},
			is: []string{"name=%Z%45", "id=percent", "type=text/plain"},
		},
		{
			name: "lwsdisp", section: "3.1.1.6", what: "no blank between a display name and <",
			text: `
{method} sip:juliet@example.com SIP/2.0
To: sip:juliet@example.com
From: romeo<sip:romeo@example.net>;tag=323
Max-Forwards: 70
Call-ID: close-by
CSeq: 60 {method}
Via: SIP/2.0/{net} 192.0.2.9;rport;branch={branch}
Content-Type: text/plain
l: {length}

hi`,
			udp: gets(200), tcp: gets(200), also: map[string]int{"OPTIONS": 200},
			is: []string{"name=romeo", "from=sip:romeo@example.net"},
		},
		{
			name: "longreq", section: "3.1.1.7", what: "long values everywhere",
			text: "{method} sip:juliet@example.com SIP/2.0\nTo: \"I have a name of " + strings.Repeat("extreme", 30) + " proportion\"<sip:juliet@example.com:6000;p1=" +
				strings.Repeat("long", 30) + "value;" + strings.Repeat("long", 30) + "name=short;" + strings.Repeat("very", 30) + "LongNameWithoutValue>\n" +
				"F: sip:" + strings.Repeat("romeo", 24) + "@example.net;tag=12" + strings.Repeat("982", 99) + ";" + strings.Repeat("n", 200) + "=" + strings.Repeat("v", 200) + "\n" +
				"Call-ID: " + strings.Repeat("really", 100) + "\nCSeq: 3882340 {method}\nUnknown-" + strings.Repeat("Long", 30) + ": " + strings.Repeat("long; ", 300) + "\n" +
				"Via: SIP/2.0/{net} 192.0.2.9;rport;branch={branch}\n" + strings.Repeat("v: SIP/2.0/TCP sip33.example.net;received=192.0.2.33;branch=z9hG4bK"+strings.Repeat("b", 60)+"\n", 33) +
				"Contact: <sip:" + strings.Repeat("romeo", 40) + "@192.0.2.9>\nContent-Type: text/plain\nMax-Forwards: 70\nl: {length}\n\nhi",
			udp: gets(200), tcp: gets(200), also: map[string]int{"INVITE": 405},
			is: []string{"from user=" + strings.Repeat("romeo", 24), "tag=12" + strings.Repeat("982", 99), "id=" + strings.Repeat("really", 100)},
		},
		{
			name: "dblreq", section: "3.1.1.8", what: "a second request behind the first",
			text: `
{method} sip:juliet@example.com SIP/2.0
To: sip:juliet@example.com
From: sip:romeo@example.net;tag=43251j3j324
Max-Forwards: 8
I: once
CSeq: 8 {method}
Via: SIP/2.0/{net} 192.0.2.9;rport;branch={branch}
Content-Length: 0


INVITE sip:nurse@example.com SIP/2.0
t: sip:nurse@example.com
From: sip:romeo@example.net;tag=141334
Max-Forwards: 8
Call-ID: twice
CSeq: 8 INVITE
Via: SIP/2.0/{net} 192.0.2.9;rport;branch=z9hG4bKtwice
Content-Length: 0

`,
			udp: gets(200), tcp: gets(405, 200), is: []string{"id=once", "body="},
			why: "a datagram is one message; in a stream it is the next one (RFC 3261 §18.3), here refused before the first is processed",
		},
		{
			name: "semiuri", section: "3.1.1.9", what: "semicolons in the user part",
			text: `
{method} sip:juliet;par=u%40example.net@example.com SIP/2.0
To: sip:j_user@example.com
From: sip:romeo@example.net;tag=33242
Max-Forwards: 3
Call-ID: semicolons
CSeq: 8 {method}
Accept: text/plain, application/pkcs7-mime,
        multipart/mixed, multipart/signed,
        message/sip, message/sipfrag
Via: SIP/2.0/{net} 192.0.2.9;rport;branch={branch}
Content-Type: text/plain
l: {length}

hi`,
			udp: gets(200), tcp: gets(200), also: map[string]int{"OPTIONS": 200},
			is: []string{"user=juliet;par=u@example.net", "To=sip:j_user@example.com"},
		},
		{
			name: "transports", section: "3.1.1.10", what: "transports that nobody knows, further down",
			text: `
{method} sip:juliet@example.com SIP/2.0
To: sip:juliet@example.com
From: <sip:romeo@example.net>;tag=323
Max-Forwards: 70
Call-ID:  many-ways
CSeq: 60 {method}
Via: SIP/2.0/{net} 192.0.2.9;rport;branch={branch}
Via: SIP/2.0/SCTP t2.example.net;branch=z9hG4bKklasjdhf
Via: SIP/2.0/TLS t3.example.net;branch=z9hG4bK2980unddj
Via: SIP/2.0/PIGEON t4.example.net;branch=z9hG4bKasd0f3en
Via: SIP/2.0/TCP t5.example.net;branch=z9hG4bK0a9idfnee
Content-Type: text/plain
l: {length}

hi`,
			udp: gets(200), tcp: gets(200), also: map[string]int{"OPTIONS": 200}, is: []string{"id=many-ways"},
		},
		{
			name: "transports", section: "3.1.1.10", what: "a transport that nobody knows, on top",
			text: strings.Replace(escapedNull("juliet", "romeo"), "SIP/2.0/{net}", "SIP/2.0/PIGEON", 1), udp: gets(200), tcp: gets(200),
			why: "the answer goes the way the request came, whatever its Via says",
		},
		{
			name: "mpart01", section: "3.1.1.11", what: "multipart with a binary part",
			text: `
{method} sip:juliet@example.com SIP/2.0
Via: SIP/2.0/{net} 192.0.2.9:5060;branch={branch};rport
Max-Forwards: 70
Route: <sip:192.0.2.1:5060;lr>
Identity: r5mwreLuyDRYBi/0TiPwEsY3rEVs=
Contact: <sip:romeo@192.0.2.9:5070>
To: <sip:juliet@example.com>
From: <sip:romeo@example.net>;tag=2fb0dcc9
Call-ID: parts@Zmx1ZmZ5LW1hYy0xNi5sb2NhbA..
CSeq: 1 {method}
Content-Transfer-Encoding: binary
Content-Type: multipart/mixed;boundary=verona
Date: Sat, 15 Oct 2005 04:44:56 GMT
User-Agent: curses
Content-Length: {length}

` + mixed,
			udp: gets(200), tcp: gets(200),
			is: []string{"type=multipart/mixed;boundary=verona", "date=Sat, 15 Oct 2005 04:44:56 GMT", "body=" + strings.ReplaceAll(mixed, "\n", "\r\n")},
		},
	}
}

// escapedNull is a request with these user parts.
func escapedNull(to, from string) string {
	return `
{method} sip:` + to + `@example.com SIP/2.0
To: <sip:` + to + `@example.com>
From: <sip:` + from + `@example.net>;tag=839923423
Max-Forwards: 70
Call-ID: nulls
CSeq: 14398234 {method}
Via: SIP/2.0/{net} 192.0.2.9;rport;branch={branch}
Contact: <sip:%00@192.0.2.9>
Contact: <sip:%00%00@192.0.2.9>
Content-Type: text/plain
L:{length}

hi`
}
