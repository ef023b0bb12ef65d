package wire

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// secret is a password, or what is made of one: it may be in nothing that leaves the room. word
// is a user's text: it may be where texts may be.
const (
	secret = "5ebe2294ecd0e0f0"
	word   = "wherefore"
)

// everything is all that the room makes of what was seen: in the log by both modes, and in copies.
func everything(t *testing.T, sip, xmpp []byte, mode Mode) string {
	t.Helper()
	r, b, run := room(t)
	collector := listenHEP(t)
	r.Change(Settings{Wire: mode, HEP: collector.addr(), Texts: mode == Full})
	if sip != nil {
		r.SIP().Packet(true, "udp", ours, theirs, sip)
		r.SIP().Packet(false, "tcp", ours, theirs, sip)
	}
	if xmpp != nil {
		r.XMPP().Stanzas(true, "sip.example.com", server, xmpp)
	}
	run()
	var all strings.Builder
	all.WriteString(b.String())
	for range r.Stats().Copied {
		all.Write(collector.next(t))
	}
	if r.Stats().Logged == 0 {
		t.Fatal("nothing was logged")
	}
	return all.String()
}

// TestSecretsInSIP: what proves who somebody is is in no trace, in whatever form it comes (SEC-14).
func TestSecretsInSIP(t *testing.T) {
	for _, header := range []string{
		`Authorization: Digest username="juliet", realm="example.net", nonce="$", uri="sip:example.net", response="$", cnonce="$", opaque="$"`,
		`authorization:Digest response=$`,
		"PROXY-AUTHORIZATION \t: digest nonce=\"$\",\r\n response=\"$\"",
		"Authorization: Digest realm=\"a\\\", response=\"$\", x=\"b\"",
		`Authorization: Digest realm="a`,
		"Authorization: Digest\r\n\tresponse=\"$\"",
		"Authorization: Digest\tresponse=\"$\"",
		"Authorization: Digest username=\"x\",\rresponse=\"$\"",
		"Authorization: Digest username=\"x\",\n response=\"$\"",
		"Authorization\r\n : Digest response=\"$\"",
		"Authorization: Basic $",
		"Authorization: $",
		"Authorization: Bearer $, realm=\"x\"",
		`Authorization: Digest uri="sip:juliet:$@example.net"`,
		`WWW-Authenticate: Digest realm="example.net", nonce="$", algorithm=SHA-256, qop="auth", stale=true`,
		`Proxy-Authenticate: Digest realm="x", nonce="$"`,
		`Authentication-Info: nextnonce="$", rspauth="$"`,
		`Contact: <sip:juliet:$@192.0.2.10>`,
		`Contact: <sip:o'hara:$@192.0.2.10>`,
		`Contact: <sip:juliet:a'$@192.0.2.10>`,
		`Contact: "sip:x" <sips:juliet:a@$@192.0.2.10;transport=tls>`,
		`Refer-To: <sip:romeo@example.net?Authorization=Digest%20response%3D$&x=y>`,
		"no header at all $",
		"nonce=\"$\": also none",
	} {
		header = strings.ReplaceAll(header, "$", secret)
		for _, mode := range []Mode{Headers, Full} {
			out := everything(t, message("sip:romeo@example.net", "sip:juliet@example.com", header+"\r\n", "hi"), nil, mode)
			if strings.Contains(out, secret) {
				t.Errorf("%s: %q\n%s", mode, header, out)
			}
			if !strings.Contains(out, "a84b4c76e66710") {
				t.Errorf("%s: %q: the Call-ID is hidden too\n%s", mode, header, out)
			}
		}
	}
	uri := message("sip:romeo@example.net", "sip:juliet:"+secret+"@example.com", "", "")
	if out := everything(t, uri, nil, Full); strings.Contains(out, secret) {
		t.Error(out)
	}
}

// TestCredentialsLeft: what helps to see why a login fails is there.
func TestCredentialsLeft(t *testing.T) {
	got := maskCredentials(` Digest username="juliet", realm="a \"b\", c", nonce="x", uri="sip:example.net", algorithm=SHA-256, qop=auth, nc=00000001, cnonce="y", response="z"`)
	want := `Digest username="juliet", realm="a \"b\", c", nonce=***, uri="sip:example.net", algorithm=SHA-256, qop=auth, nc=00000001, cnonce=***, response=***`
	if got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

// TestTextsInSIP: without Full there is no text of a user, and with it there is.
func TestTextsInSIP(t *testing.T) {
	for _, m := range [][]byte{
		message("sip:romeo@example.net", "sip:juliet@example.com", "", word),
		message("sip:romeo@example.net", "sip:juliet@example.com", "Subject: "+word+"\r\n", ""),
		message("sip:romeo@example.net", "sip:juliet@example.com", "s : a\r\n "+word+"\r\n", ""),
		[]byte("MESSAGE sip:juliet@example.com SIP/2.0\nFrom: <sip:romeo@example.net>\n\n" + word),
		[]byte("MESSAGE sip:juliet@example.com SIP/2.0\rFrom: <sip:romeo@example.net>\r\r" + word),
		[]byte("MESSAGE sip:juliet@example.com SIP/2.0\r\nFrom: <sip:romeo@example.net>\r\n\r\n" + word + "\r\nSubject: " + word),
	} {
		if out := everything(t, m, nil, Headers); strings.Contains(out, word) {
			t.Errorf("%q\n%s", m, out)
		}
		if out := everything(t, m, nil, Full); strings.Count(out, word) < 4 { // both ways, in the log and as a copy
			t.Errorf("%q: not shown\n%s", m, out)
		}
	}
	for _, junk := range []string{word, "\x00\x01" + word, word + " SIP/3.0\r\n\r\n", "GET / HTTP/1.1\r\n\r\n" + word} {
		for _, mode := range []Mode{Headers, Full} {
			r, b, run := room(t)
			r.Change(Settings{Wire: mode})
			r.SIP().Packet(true, "udp", ours, theirs, []byte(junk))
			run()
			if want := fmt.Sprintf("[%d octets that are not SIP]\n", len(junk)); b.packets(t)[0].Packet != want {
				t.Errorf("%q: %q", junk, b.packets(t)[0].Packet)
			}
		}
	}
}

// TestLengthsStay: a copy without texts is a whole packet for those who count octets.
func TestLengthsStay(t *testing.T) {
	m := message("sip:romeo@example.net", "sip:juliet@example.com", "Subject: tonight\r\n", "But soft")
	r, _, run := room(t)
	c := listenHEP(t)
	r.Change(Settings{HEP: c.addr()})
	r.SIP().Packet(true, "udp", ours, theirs, m)
	run()
	got := decodeHEP(t, c.next(t)).payload
	want := bytes.Replace(bytes.Replace(m, []byte("But soft"), []byte("********"), 1), []byte("Subject: tonight"), []byte("Subject:********"), 1)
	if !bytes.Equal(got, want) {
		t.Errorf("%q\nwant %q", got, want)
	}
}

// TestSecretsInXMPP: passwords and the hash of the handshake are in no trace (SEC-14).
func TestSecretsInXMPP(t *testing.T) {
	for _, s := range []string{
		`<handshake>$</handshake>`,
		`<handshake xmlns='jabber:component:accept'><![CDATA[$]]></handshake>`,
		`<iq id='1' type='set' from='juliet@example.com/a' to='sip.example.com'><query xmlns='jabber:iq:register'><username>juliet</username><password>$</password></query></iq>`,
		`<iq id='1' type='set' to='sip.example.com'><r:query xmlns:r='jabber:iq:register'><r:key>$</r:key><r:misc>$</r:misc></r:query></iq>`,
		`<iq id='1' type='set' to='sip.example.com'><query xmlns="jabber&#58;iq:register"><misc>$</misc></query></iq>`,
		`<iq id='1' type='set' to='sip.example.com'><command xmlns='http://jabber.org/protocol/commands'><x xmlns='jabber:x:data' type='submit'><field var='a'><value>$</value></field></x></command></iq>`,
		`<iq id='1' type='set' to='sip.example.com'><x xmlns='jabber:x:data'><field var='a'><value>$</value></field></x></iq>`,
		`<iq id='1' type='result' from='sip.example.com'><x xmlns='jabber:x:data' type='form'><field var='a' type='text-private' label='L'><value>$</value></field></x></iq>`,
		`<iq id='1' type='result' from='sip.example.com'><x xmlns='jabber:x:data' type='form'><field type='text&#x2d;private' var='a'><value>$</value></field></x></iq>`,
		`<iq id='1' type='set' to='sip.example.com'><x xmlns='jabber:x:data' type='form'><field var='SIP-Password' type='text-single'><value>$</value></field></x></iq>`,
		`<message from='juliet@example.com' to='room@example.org' type='groupchat'><x xmlns='http://jabber.org/protocol/muc'><password>$</password></x></message>`,
		`<message from='romeo@example.net' to='juliet@example.com'><x xmlns='jabber:x:conference' jid='r@example.org' password='$'/></message>`,
		`<message from='juliet@example.com/a' to='sip.example.com'><body>register juliet $</body></message>`,
		`<message from='sip.example.com' to='juliet@example.com'><body>$</body></message>`,
		`<message from='juliet@example.com/a' to='sip.example.com/x@y'><body>register juliet $</body></message>`,
		`<message from='sip.example.com/x@y' to='juliet@example.com'><body>$</body></message>`,
		`<c:message xmlns:c='jabber:component:accept' from='juliet@example.com/a' to='sip.example.com'><c:body>register juliet $</c:body></c:message>`,
		`<message from='juliet@example.com' to='romeo@sip.example.com'><body>sip:o'hara:$@example.net</body></message>`,
		`<message to='romeo@sip.example.com'><body>$</body></message>`,
		`<message from='juliet@example.com' to='romeo@sip.example.com'><body>sip:juliet:$@example.net</body></message>`,
		`<message from='juliet@example.com' to='romeo@sip.example.com'><!-- $ --><body>hi</body></message>`,
		`<iq><password>$`,
		`<iq><password>$</passwor></password></iq>`,
		`$`,
		`<a b='$`,
	} {
		s = strings.ReplaceAll(s, "$", secret)
		for _, mode := range []Mode{Headers, Full} {
			if out := everything(t, nil, []byte(s), mode); strings.Contains(out, secret) {
				t.Errorf("%s: %s\n%s", mode, s, out)
			}
		}
	}
}

// TestTextsInXMPP: without Full there is no text of a user, wherever it is.
func TestTextsInXMPP(t *testing.T) {
	for _, inside := range []string{
		"<body>$</body>", "<subject>$</subject>", "<body><![CDATA[$]]></body>",
		"<html xmlns='http://jabber.org/protocol/xhtml-im'><body xmlns='http://www.w3.org/1999/xhtml'><p>a <b>$</b></p></body></html>",
		"<nick xmlns='http://jabber.org/protocol/nick'>$</nick>", "<x xmlns='jabber:x:oob'><url>$</url><desc>$</desc></x>",
		"<x xmlns='jabber:x:data' type='result'><field var='a' type='text-multi'><value>$</value></field></x>",
		"<item xmlns='jabber:iq:roster' name='$'/>", "<unknown text='$'><show><b>$</b></show></unknown>", "<body>sip:a@$</body>",
	} {
		s := "<message from='juliet@example.com/balcony' to='romeo@sip.example.com' id='m1'>" + strings.ReplaceAll(inside, "$", word) + "</message>"
		if out := everything(t, nil, []byte(s), Headers); strings.Contains(out, word) || !strings.Contains(out, "juliet@example.com/balcony") {
			t.Errorf("%s\n%s", s, out)
		}
		if out := everything(t, nil, []byte(s), Full); !strings.Contains(out, word) {
			t.Errorf("%s: not shown\n%s", s, out)
		}
	}
	s := `<presence from='juliet@example.com/balcony' to='romeo@sip.example.com'><show>away</show><status>` + word + `</status></presence>`
	if out := everything(t, nil, []byte(s), Headers); strings.Contains(out, word) || !strings.Contains(out, "<show>away</show>") {
		t.Error(out)
	}
}

// TestStanzas: what is read or written in one go is taken apart where stanzas end.
func TestStanzas(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"<iq/><message from='a' to='b'><body>1 > 0</body></message>", "<iq/> | <message from='a' to='b'><body>1 > 0</body></message>"},
		{" \n<presence/>\n <r>a</r> ", "<presence/> | <r>a</r>"},
		{"<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' to='x'>", "<?xml version='1.0'?> | <stream:stream xmlns='jabber:component:accept' to='x'>"},
		{"</stream:stream>", "</stream:stream>"},
		{"<iq/></stream:stream>", "<iq/> | </stream:stream>"},
		{"<a><b/></c></a>", "? <a><b/></c></a>"},
		{"<a><b>", "? <a><b>"},
		{"<iq/>text<iq/>", "<iq/> | ? text<iq/>"},
		{"<a b='1'c='2'/>", "? <a b='1'c='2'/>"},
		{"<a b=1/>", "? <a b=1/>"},
		{"<!DOCTYPE a><a/>", "? <!DOCTYPE a><a/>"},
	} {
		var got []string
		for _, s := range stanzas([]byte(tt.in)) {
			mark := "? "
			if s.whole {
				mark = ""
			}
			got = append(got, mark+string(s.raw))
		}
		if g := strings.Join(got, " | "); g != tt.want {
			t.Errorf("%s: %s\nwant %s", tt.in, g, tt.want)
		}
	}
}

// TestMasksHold: whatever surrounds it, a secret in its place is hidden, and what is left is whole.
func TestMasksHold(t *testing.T) {
	noise := rapid.StringOfN(rapid.RuneFrom([]rune("ab<>&;:='\"@/?! \r\n\t\\,.\x00é")), 0, 20, -1)
	rapid.Check(t, func(rt *rapid.T) {
		texts := rapid.Bool().Draw(rt, "texts")
		before, after := noise.Draw(rt, "before"), noise.Draw(rt, "after")
		// The header begins a line of its own: that much is given.
		p, ok := readSIP([]byte("MESSAGE sip:a@b SIP/2.0\r\nX: "+strings.NewReplacer("\r", "", "\n", "").Replace(before)+
			"\r\nAuthorization: Digest response=\""+secret+"\""+after+"\r\n\r\nhi"), texts)
		if !ok || bytes.Contains(p.head, []byte(secret)) {
			rt.Errorf("%q", p.head)
		}
		// Not well-formed: nothing at all is shown.
		raw := []byte("<iq from='a@b' to='c@d'>" + before + "<password>" + secret + "</password>" + after + "</iq>")
		for _, s := range stanzas(raw) {
			if !s.whole {
				continue
			}
			shown := maskStanza(nil, s, texts)
			if bytes.Contains(s.raw, []byte("<password>"+secret+"</password></iq>")) && bytes.Contains(shown, []byte(secret)) {
				rt.Errorf("%q of %q", shown, raw)
			}
		}
	})
}

// FuzzMasks: nothing that comes makes the room fail, and what is masked can be masked again.
func FuzzMasks(f *testing.F) {
	f.Add(message("sip:a@b", "sip:c:d@e", "Authorization: Digest response=\"x\"\r\nSubject: x\r\n", "body"))
	f.Add([]byte("<message from='a@b' to='c'><body>x</body></message><iq><password>x</password></iq></stream:stream>"))
	f.Add([]byte("SIP/2.0 401 Unauthorized\nWWW-Authenticate: Digest nonce=\"x\n\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, texts := range []bool{false, true} {
			if p, ok := readSIP(b, texts); ok {
				again, ok := readSIP(p.head, texts)
				if !ok || !bytes.Equal(again.head, p.head) {
					t.Errorf("%q becomes %q, and that %q", b, p.head, again.head)
				}
			}
			for _, s := range stanzas(b) {
				if !s.whole {
					continue
				}
				once := maskStanza(nil, s, texts)
				all := stanzas(once)
				if len(all) == 0 && len(once) == 0 {
					continue // a comment
				}
				if len(all) != 1 || !all[0].whole {
					t.Errorf("%q becomes %q", s.raw, once)
				}
			}
		}
		var out strings.Builder
		writeShown(&out, b)
		if strings.ContainsAny(out.String(), "\x00\x1b\r\u2028\u202e\u0085") {
			t.Errorf("%q", out.String())
		}
	})
}
