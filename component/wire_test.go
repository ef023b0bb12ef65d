package component

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/stoxgw/stox/internal/xmpptest"
	"github.com/stoxgw/stox/mapping"
)

// plain is a message in a form that go-cmp can show.
type plain struct {
	From, To, ID, Type, Lang, Thread string
	Subjects, Bodies                 []mapping.Text
}

func flat(m *mapping.XMPPMessage) plain {
	return plain{m.From.String(), m.To.String(), m.ID, m.Type, m.Lang, m.Thread, m.Subjects, m.Bodies}
}

// TestMessageIn: only direct children count, in either namespace; unknown
// extensions are ignored (GW-29).
func TestMessageIn(t *testing.T) {
	r, conn := memory(t, xmpptest.Options{}, nil)
	text := func(s ...string) (out []mapping.Text) {
		for i := 0; i < len(s); i += 2 {
			out = append(out, mapping.Text{Lang: s[i], Value: s[i+1]})
		}
		return out
	}
	n := 0
	for _, tt := range []struct {
		name, in string
		want     plain
	}{
		{"everything", `<message from='juliet@example.com/b' to='romeo@sip.example.com/x' id='1' type='chat' xml:lang='cs'><subject>s1</subject><subject xml:lang='en'>s2</subject><body>ahoj &lt;&amp;&#x17E;</body><body xml:lang='en'>hello</body><thread>t1</thread><thread>t2</thread></message>`,
			plain{"juliet@example.com/b", "romeo@sip.example.com/x", "1", "chat", "cs", "t1", text("", "s1", "en", "s2"), text("", "ahoj <&ž", "en", "hello")}},
		{"children in jabber:client", `<message from='juliet@example.com' to='romeo@sip.example.com'><body xmlns='jabber:client'>x</body><thread xmlns='jabber:client'>t</thread></message>`,
			plain{"juliet@example.com", "romeo@sip.example.com", "", "", "", "t", nil, text("", "x")}},
		{"the whole stanza in jabber:client", `<message xmlns='jabber:client' from='juliet@example.com' to='romeo@sip.example.com' type='headline'><body>x</body></message>`,
			plain{"juliet@example.com", "romeo@sip.example.com", "", "headline", "", "", nil, text("", "x")}},
		{"unknown type", `<message from='juliet@example.com' to='romeo@sip.example.com' type='odd'><body>x</body></message>`,
			plain{"juliet@example.com", "romeo@sip.example.com", "", "normal", "", "", nil, text("", "x")}},
		{"bodies of others", `<message from='juliet@example.com' to='romeo@sip.example.com' id='2'><fallback xmlns='urn:xmpp:fallback:0'><body start='0'>no</body></fallback><body>yes</body><body xmlns='http://www.w3.org/1999/xhtml'>no</body><x xmlns='jabber:component:accept'><body>no</body></x></message>`,
			plain{"juliet@example.com", "romeo@sip.example.com", "2", "", "", "", nil, text("", "yes")}},
		{"CDATA and an element inside", `<message from='juliet@example.com' to='romeo@sip.example.com'><body>a<![CDATA[<b>]]><i>no</i>c</body></message>`,
			plain{"juliet@example.com", "romeo@sip.example.com", "", "", "", "", nil, text("", "a<b>c")}},
		{"nested message in the stanza namespace", `<message from='juliet@example.com' to='romeo@sip.example.com' id='3'><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:component:accept' from='x@example.net'><body>no</body></message></forwarded><body>yes</body></message>`,
			plain{"juliet@example.com", "romeo@sip.example.com", "3", "", "", "", nil, text("", "yes")}},
	} {
		send(t, conn, tt.in)
		n++
		got := r.sink.wait(n)
		if d := cmp.Diff(tt.want, flat(got[n-1])); d != "" {
			t.Errorf("%s: -want +got\n%s", tt.name, d)
		}
	}
}

// TestBadStanzas: each gets its error or none, and the stream goes on (SEC-26,
// GW-11, GW-12, GW-29, ERR-11).
func TestBadStanzas(t *testing.T) {
	r, conn := memory(t, xmpptest.Options{}, func(c *Config) {
		c.MaxStanzaBytes = 4096
		c.Allow = func(j mapping.JID) bool { return j.Domain() != "evil.example.net" }
	})
	deep := func(n int) string { return strings.Repeat("<a>", n) + strings.Repeat("</a>", n) }
	msg := func(inner string) string {
		return `<message from='juliet@example.com/b' to='romeo@sip.example.com' id='i'>` + inner + `</message>`
	}
	for _, tt := range []struct{ name, in, want string }{ // want: "name from to type/condition", "" for none
		{"poison: priority", `<presence from='juliet@example.com/b' to='romeo@sip.example.com'><priority>foo</priority></presence>`, ""},
		{"poison: nested stanza", msg(`<x xmlns='urn:x'><message xmlns='jabber:component:accept'/></x>`), ""},
		{"poison: RSM max", `<iq type='get' id='i' from='juliet@example.com/b' to='sip.example.com'><query xmlns='http://jabber.org/protocol/disco#items'><set xmlns='http://jabber.org/protocol/rsm'><max>lots</max></set></query></iq>`, "iq sip.example.com juliet@example.com/b result"},
		{"no text", msg(`<active xmlns='http://jabber.org/protocol/chatstates'/>`), ""},
		{"empty text", msg(`<body/>`), ""},
		{"error of nobody", `<message type='error' from='juliet@example.com' to='romeo@sip.example.com' id='i'><error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>`, ""},
		{"error with nothing in it", `<message type='error'/>`, ""},
		{"groupchat", `<message type='groupchat' from='juliet@example.com/b' to='romeo@sip.example.com' id='i'><body>x</body></message>`, "message romeo@sip.example.com juliet@example.com/b cancel/service-unavailable"},
		{"no to", `<message from='juliet@example.com/b' id='i'><body>x</body></message>`, "message sip.example.com juliet@example.com/b modify/bad-request"},
		{"no from", `<message to='romeo@sip.example.com' id='i'><body>x</body></message>`, ""},
		{"bad to", `<message from='juliet@example.com/b' to='a@b@sip.example.com/ ' id='i'><body>x</body></message>`, "message sip.example.com juliet@example.com/b modify/jid-malformed"},
		{"bad from", `<message from='@example.com' to='romeo@sip.example.com' id='i'><body>x</body></message>`, "message romeo@sip.example.com @example.com modify/jid-malformed"},
		{"other domain", `<message from='juliet@example.com/b' to='romeo@other.example.com' id='i'><body>x</body></message>`, "message sip.example.com juliet@example.com/b cancel/item-not-found"},
		{"unknown stanza", `<foo from='juliet@example.com/b' to='romeo@sip.example.com' id='i'/>`, ""},
		{"stanza of another namespace", `<message xmlns='urn:x' from='juliet@example.com/b' to='romeo@sip.example.com' id='i'><body>x</body></message>`, ""},
		{"text between stanzas", "hello", ""},
		{"too many octets", msg(`<body>` + strings.Repeat("x", 5000) + `</body>`), "message romeo@sip.example.com juliet@example.com/b modify/policy-violation"},
		{"too many octets in the start tag", `<message from='juliet@example.com/b' to='romeo@sip.example.com' id='i' x='` + strings.Repeat("x", 5000) + `'/>`, "message romeo@sip.example.com juliet@example.com/b modify/policy-violation"},
		{"too deep", msg(deep(maxDepth)), "message romeo@sip.example.com juliet@example.com/b modify/policy-violation"},
		{"too many elements", msg(strings.Repeat("<a/>", maxElements)), "message romeo@sip.example.com juliet@example.com/b modify/policy-violation"},
		{"too many attributes", `<message from='juliet@example.com/b' to='romeo@sip.example.com' id='i'` + attributes(maxAttrs) + `/>`, "message romeo@sip.example.com juliet@example.com/b modify/policy-violation"},
		{"absurdly deep", msg(deep(40 * maxDepth)), "message romeo@sip.example.com juliet@example.com/b modify/policy-violation"},
		{"absurdly many elements", msg(strings.Repeat("<a/>", 20*maxElements)), "message romeo@sip.example.com juliet@example.com/b modify/policy-violation"},
		{"absurdly many attributes", msg("<a" + attributes(20*maxAttrs) + "/>"), "message romeo@sip.example.com juliet@example.com/b modify/policy-violation"},
		{"six octets for each that was sent", msg(`<body>` + strings.Repeat("&apos;", 512<<10) + `</body>`), "message romeo@sip.example.com juliet@example.com/b modify/policy-violation"},
		{"an id too big for an answer", `<message from='juliet@example.com/b' to='romeo@sip.example.com' id='` + strings.Repeat("&apos;", 1000) + `'><body>x</body></message>`, ""},
		{"an iq with an id too big for an answer", `<iq type='get' from='juliet@example.com/b' to='sip.example.com' id='` + strings.Repeat("&apos;", 1000) + `'><ping xmlns='urn:xmpp:ping'/></iq>`, ""},
		{"iq too big", `<iq type='set' from='juliet@example.com/b' to='sip.example.com' id='i'>` + deep(maxDepth) + `</iq>`, "iq sip.example.com juliet@example.com/b modify/policy-violation"},
		{"iq result too big", `<iq type='result' from='juliet@example.com/b' to='sip.example.com' id='i'>` + deep(maxDepth) + `</iq>`, ""},
		{"presence too big", `<presence from='juliet@example.com/b' to='romeo@sip.example.com'>` + deep(maxDepth) + `</presence>`, ""},
		{"error too big", `<message type='error' from='juliet@example.com/b' to='romeo@sip.example.com'>` + deep(maxDepth) + `</message>`, ""},
	} {
		send(t, conn, tt.in)
		var got []string
		for _, st := range fence(t, conn) {
			s := st.Name + " " + st.From + " " + st.To + " " + st.Type
			if st.Type == "error" {
				s = st.Name + " " + st.From + " " + st.To + " " + st.ErrorType + "/" + st.Condition
				if st.ErrorText == "" {
					t.Errorf("%s: an error without text: %s", tt.name, st.Raw)
				}
			}
			if st.ID != "i" {
				t.Errorf("%s: id %q", tt.name, st.ID)
			}
			got = append(got, s)
		}
		if g := strings.Join(got, "; "); g != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.name, g, tt.want)
		}
	}
	if n, _ := r.sink.count(); n != 0 {
		t.Errorf("%d messages were handed over", n)
	}
	if got := len(r.log.lines("global_routes")); got != 1 {
		t.Errorf("%d lines about foreign stanzas, want 1", got)
	}
	send(t, conn, msg(`<body>still here</body>`))
	r.sink.wait(1)
}

func attributes(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(" a" + strings.Repeat("b", i) + "=''")
	}
	return b.String()
}

// TestMessageOut and the errors: as on the wire.
func TestMessageOut(t *testing.T) {
	from, to := mapping.MustParseJID("romeo@sip.example.com"), mapping.MustParseJID("juliet@example.com/b")
	for _, tt := range []struct {
		v    mapping.XMPP
		want string
	}{
		{&mapping.XMPPMessage{From: from, To: to, ID: "i<1>", Type: "chat", Lang: "cs",
			Subjects: []mapping.Text{{Value: "s"}}, Bodies: []mapping.Text{{Value: "a\r\n\t<b>&'\"]]>"}, {Lang: "en", Value: "x\x00\x1b\xff\ufffey"}}, Thread: "t"},
			"<message from='romeo@sip.example.com' to='juliet@example.com/b' id='i&lt;1&gt;' type='chat' xml:lang='cs'><subject>s</subject><body>a&#13;\n\t&lt;b&gt;&amp;'\"]]&gt;</body><body xml:lang='en'>x\ufffd\ufffd\ufffd\ufffdy</body><thread>t</thread></message>"},
		{&mapping.XMPPMessage{From: from, To: to, Bodies: []mapping.Text{{Value: "x"}}},
			"<message from='romeo@sip.example.com' to='juliet@example.com/b'><body>x</body></message>"},
		{&mapping.XMPPError{From: from, To: to, ID: "1", Failure: &mapping.Failure{Condition: mapping.CondItemNotFound, Type: mapping.TypeCancel, Text: "404 Not Found"}},
			"<message from='romeo@sip.example.com' to='juliet@example.com/b' id='1' type='error'><error type='cancel' by='sip.example.com'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas' xml:lang='en'>404 Not Found</text></error></message>"},
		{&mapping.XMPPError{From: from, To: to, ID: "1", Failure: &mapping.Failure{Condition: mapping.CondGone, Alternate: "xmpp:a&b@sip.example.com"}},
			"<message from='romeo@sip.example.com' to='juliet@example.com/b' id='1' type='error'><error type='cancel' by='sip.example.com'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>xmpp:a&amp;b@sip.example.com</gone></error></message>"},
		{&mapping.XMPPError{From: from, To: to, ID: "1", Failure: &mapping.Failure{Condition: "<evil/>", Type: "worse", Alternate: "not for this one"}},
			"<message from='romeo@sip.example.com' to='juliet@example.com/b' id='1' type='error'><error type='cancel' by='sip.example.com'><undefined-condition xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"},
	} {
		if got := string(appendValue(nil, tt.v, testDomain, 1<<20)); got != tt.want {
			t.Errorf("\n got %s\nwant %s", got, tt.want)
		}
	}
}

func TestReadStanzaError(t *testing.T) {
	const ns = ` xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'`
	for _, tt := range []struct {
		in   string
		cond mapping.Condition
		typ  mapping.ErrorType
		text string
	}{
		{`<error type='wait'><resource-constraint` + ns + `/><text` + ns + `>Later.</text></error>`, "resource-constraint", "wait", "Later."},
		{`<error type='modify' xmlns='jabber:client'><app xmlns='urn:x'/><text` + ns + `>T</text><text` + ns + `>U</text><not-acceptable` + ns + `/></error>`, "not-acceptable", "modify", "T"},
		{`<error code='404'><own` + ns + `/></error>`, "undefined-condition", "cancel", ""},
		{`<error/>`, "undefined-condition", "cancel", ""},
		{``, "undefined-condition", "cancel", ""},
		{`<x xmlns='urn:x'><error type='cancel'><gone` + ns + `/></error></x>`, "undefined-condition", "cancel", ""},
	} {
		f := readStanzaError(parse(t, `<message xmlns='jabber:component:accept' type='error'>`+tt.in+`</message>`))
		if f.Condition != tt.cond || f.Type != tt.typ || f.Text != tt.text {
			t.Errorf("%s: got %s/%s %q", tt.in, f.Condition, f.Type, f.Text)
		}
	}
}

// parse reads one element without limits that matter.
func parse(t testing.TB, text string) *element {
	t.Helper()
	s := &scanner{source: source{buf: make([]byte, 7), fill: strings.NewReader(text).Read}}
	s.begin(1 << 30)
	if c, err := s.next(); err != nil || c != '<' {
		t.Fatalf("%q: %q, %v", text, c, err)
	}
	e, over, err := s.tree(1 << 30)
	if err != nil || over != "" {
		t.Fatalf("%q: %v, %q", text, err, over)
	}
	if _, err := s.next(); !errors.Is(err, io.EOF) {
		t.Fatalf("%q: more than one element", text)
	}
	return e
}

// xmlText is what a reader gets for s: the reference for the appender.
func xmlText(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF {
			return utf8.RuneError
		}
		return r
	}, eachByte(s))
}

// eachByte makes every byte that is not UTF-8 a U+FFFD of its own.
func eachByte(s string) string { return string([]rune(s)) }

// FuzzAppend: whatever goes in, one well-formed stanza comes out, and it reads
// as what was meant (SEC-20).
func FuzzAppend(f *testing.F) {
	f.Add("id", "en", "subject", "body", "thread", "nick", int64(1768467600), "p>strong>text<< style=x href=https://example.net/ a>x<")
	f.Add("a'b\"<&>", "x'/><evil a='", "\r\n\t\x00", "]]>\xff\xed\xa0\x80\ufffe\U0010ffff", "<![CDATA[", "</nick>", int64(-1<<60), "p>P>p/>><< href=1 href=2 xmlns=x  x'=y a>z<")
	f.Add("", "", "", "", "", "", int64(0), "")
	f.Fuzz(func(t *testing.T, id, lang, subject, body, thread, nick string, delay int64, tree string) {
		from, to := mapping.MustParseJID("romeo@sip.example.com/x"), mapping.MustParseJID("juliet@example.com/b")
		m := &mapping.XMPPMessage{From: from, To: to, ID: id, Type: "chat", Lang: lang,
			Subjects: []mapping.Text{{Value: subject}}, Bodies: []mapping.Text{{Lang: lang, Value: body}}, Thread: thread,
			Delay: time.Unix(delay, 0), Nick: nick, Markup: plant(tree)}
		e := parse(t, string(appendValue(nil, m, testDomain, 1<<20)))
		got := plain{e.attr("from"), e.attr("to"), e.attr("id"), e.attr("type"), e.lang(), "", nil, nil}
		gotNick, markup := "", false
		for _, c := range e.children {
			switch c.name.Local {
			case "subject":
				got.Subjects = append(got.Subjects, mapping.Text{Lang: c.lang(), Value: string(c.text)})
			case "body":
				got.Bodies = append(got.Bodies, mapping.Text{Lang: c.lang(), Value: string(c.text)})
			case "thread":
				got.Thread = string(c.text)
			case "nick":
				gotNick = string(c.text)
			case "delay":
				at, err := time.Parse("2006-01-02T15:04:05Z", c.attr("stamp"))
				if err != nil || at.Unix() != delay || c.name.Space != nsDelay || c.attr("from") != "romeo@sip.example.com" {
					t.Errorf("delay of %d: %v, %v", delay, c.attrs, err)
				}
			case "html":
				markup = true
				mustBeXHTML(t, c)
			default:
				t.Errorf("stray element %q", c.name.Local)
			}
		}
		want := plain{from.String(), to.String(), xmlText(id), "chat", xmlText(lang), xmlText(thread),
			[]mapping.Text{{Value: xmlText(subject)}}, []mapping.Text{{Lang: xmlText(lang), Value: xmlText(body)}}}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("-want +got\n%s", d)
		}
		if gotNick != xmlText(nick) || markup != (len(m.Markup) > 0) {
			t.Errorf("nick %q, want %q; markup %t", gotNick, xmlText(nick), markup)
		}

		bad := &mapping.XMPPError{From: from, To: to, ID: id, Failure: &mapping.Failure{
			Condition: mapping.Condition(lang), Type: mapping.ErrorType(subject), Text: body, Alternate: thread}}
		e = parse(t, string(appendValue(nil, bad, testDomain, 1<<20)))
		if len(e.children) != 1 || len(e.children[0].children) < 1 || len(e.children[0].children) > 2 {
			t.Errorf("error stanza with the wrong shape")
		}
	})
}

// plant makes a tree of a text: ">" goes into an element of that name, "<" back out, and
// in between there are texts; "name=value " is an attribute of the element that follows.
func plant(s string) []mapping.Node {
	root := mapping.Node{}
	path := []*mapping.Node{&root}
	var attrs []mapping.Attr
	word := ""
	for _, c := range strings.SplitAfter(s, "") {
		top := path[len(path)-1]
		switch c {
		case ">":
			top.Nodes = append(top.Nodes, mapping.Node{Name: word, Attrs: attrs})
			path = append(path, &top.Nodes[len(top.Nodes)-1])
			word, attrs = "", nil
		case "<":
			top.Nodes = append(top.Nodes, mapping.Node{Text: word})
			word = ""
			if len(path) > 1 {
				path = path[:len(path)-1]
			}
		case " ":
			name, value, _ := strings.Cut(word, "=")
			attrs = append(attrs, mapping.Attr{Name: name, Value: value})
			word = ""
		default:
			word += c
		}
	}
	return root.Nodes
}
