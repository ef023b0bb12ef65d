package component

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/internal/xmpptest"
	"github.com/stoxgw/stox/mapping"
)

func el(name string, nodes ...mapping.Node) mapping.Node {
	return mapping.Node{Name: name, Nodes: nodes}
}

func txt(s string) mapping.Node { return mapping.Node{Text: s} }

// M-029, XEP-0172, XEP-0071: what stands beside the text, as on the wire.
func TestMessageExtras(t *testing.T) {
	m := message("i", "late news")
	m.From = mapping.MustParseJID("romeo@sip.example.com/orchard")
	m.Delay = time.Date(2026, 1, 15, 10, 50, 0, 0, time.FixedZone("", 3600))
	m.Nick = "Romeo <M>"
	m.Markup = []mapping.Node{el("p", txt("late "), el("strong", txt("news")))}
	const want = "<message from='romeo@sip.example.com/orchard' to='juliet@example.com' id='i' type='chat'><body>late news</body>" +
		"<delay xmlns='urn:xmpp:delay' from='romeo@sip.example.com' stamp='2026-01-15T09:50:00Z'/>" +
		"<nick xmlns='http://jabber.org/protocol/nick'>Romeo &lt;M&gt;</nick>" +
		"<html xmlns='http://jabber.org/protocol/xhtml-im'><body xmlns='http://www.w3.org/1999/xhtml'><p>late <strong>news</strong></p></body></html></message>"
	if got := string(appendMessage(nil, m, 1<<20)); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	for stamp, at := range map[string]time.Time{
		" stamp='2026-01-15T09:50:00.25Z'": time.Date(2026, 1, 15, 9, 50, 0, 250_000_999, time.UTC),
		" stamp='0001-01-01T00:00:00Z'":    time.Time{},
		"":                                 time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC),
	} {
		if got := string(appendDelay(nil, m.From, at)); !strings.Contains(got, stamp) || (stamp == "") != (got == "") {
			t.Errorf("%v: %s", at, got)
		}
	}
}

// SEC-20: whatever the tree is, what is written is well-formed and of the namespace of
// XHTML.
func TestMarkupOut(t *testing.T) {
	attr := func(s ...string) (out []mapping.Attr) {
		for i := 0; i < len(s); i += 2 {
			out = append(out, mapping.Attr{Name: s[i], Value: s[i+1]})
		}
		return out
	}
	nest := func(n int, inner ...mapping.Node) mapping.Node {
		for range n {
			inner = []mapping.Node{el("span", inner...)}
		}
		return inner[0]
	}
	for _, tt := range []struct {
		name string
		in   []mapping.Node
		want string
	}{
		{"M-009", []mapping.Node{el("p", txt("Hello "), el("strong", txt("Juliet")), txt(", bad "),
			mapping.Node{Name: "a", Attrs: attr("href", "https://example.net/"), Nodes: []mapping.Node{txt("good")}})},
			"<p>Hello <strong>Juliet</strong>, bad <a href='https://example.net/'>good</a></p>"},
		{"nothing in it", []mapping.Node{el("br"), el("p", txt("")), {}}, "<br/><p></p>"},
		{"escapes", []mapping.Node{txt("<&>'\"]]>\x00\r\n"), {Name: "a", Attrs: attr("href", "x'/><evil a=\"&\n")}},
			"&lt;&amp;&gt;'\"]]&gt;\ufffd&#13;\n<a href='x&apos;/&gt;&lt;evil a=\"&amp;&#10;'/>"},
		{"names that are none", []mapping.Node{el("p><evil/><p", txt("1")), el("P", txt("2")), el("a:b", txt("3")), el("ä", txt("4")), el("1p", txt("5")), el("xml", txt("6")), el("h1", txt("7")), el(" ", txt("8"))},
			"123456<h1>7</h1>8"},
		{"attributes that are none", []mapping.Node{{Name: "img", Attrs: attr("src", "cid:1", "", "x", "on click", "x", "xmlns", "jabber:client", "xmlns:a", "b", "a='", "x", "STYLE", "x", "xml:lang", "de", "alt", "")}},
			"<img src='cid:1' xml:lang='de' alt=''/>"},
		{"an attribute twice", []mapping.Node{{Name: "a", Attrs: attr("href", "1", "style", "x", "href", "2", "href", "3")}}, "<a href='1' style='x'/>"},
		{"a text with children", []mapping.Node{{Text: "x", Attrs: attr("href", "1"), Nodes: []mapping.Node{txt("y")}}}, "x"},
		{"as deep as may be", []mapping.Node{nest(maxMarkupDepth, txt("x"))}, strings.Repeat("<span>", maxMarkupDepth) + "x" + strings.Repeat("</span>", maxMarkupDepth)},
		{"too deep", []mapping.Node{nest(1000, txt("x")), txt("y")}, strings.Repeat("<span>", maxMarkupDepth) + strings.Repeat("</span>", maxMarkupDepth) + "y"},
		{"too deep in names that are none", []mapping.Node{el("<", el("<", nest(maxMarkupDepth, txt("x"))))}, strings.Repeat("<span>", maxMarkupDepth-2) + strings.Repeat("</span>", maxMarkupDepth-2)},
	} {
		got := string(appendXHTML(nil, tt.in))
		want := "<html xmlns='http://jabber.org/protocol/xhtml-im'><body xmlns='http://www.w3.org/1999/xhtml'>" + tt.want + "</body></html>"
		if got != want {
			t.Errorf("%s:\n got %s\nwant %s", tt.name, got, want)
			continue
		}
		mustBeXHTML(t, parse(t, got))
	}
}

// mustBeXHTML checks an <html/> of XHTML-IM: one body, one namespace, each attribute once.
func mustBeXHTML(t *testing.T, html *element) {
	t.Helper()
	if html.name.Space != nsXHTMLIM || html.name.Local != "html" || len(html.children) != 1 || html.children[0].name.Local != "body" {
		t.Fatalf("no XHTML-IM: %v", html.name)
	}
	open := []*element{html.children[0]}
	for len(open) > 0 {
		e := open[len(open)-1]
		open = append(open[:len(open)-1], e.children...)
		if e.name.Space != nsXHTML {
			t.Errorf("%v is not XHTML", e.name)
		}
		seen := make(map[string]bool)
		for _, a := range e.attrs {
			if name := a.Name.Space + " " + a.Name.Local; seen[name] || a.Name.Local == "xmlns" && e != html.children[0] {
				t.Errorf("%s twice, or not at its place", name)
			} else {
				seen[name] = true
			}
		}
	}
}

// What makes a stanza too big in its markup only is written without it.
func TestMarkupTooBig(t *testing.T) {
	m := message("i", "text")
	bare := string(appendMessage(nil, m, 0))
	m.Markup = []mapping.Node{el("p", txt("text"))}
	full := string(appendMessage(nil, m, 1<<20))
	if !strings.Contains(full, "<html ") || strings.Contains(bare, "<html ") {
		t.Fatalf("%s\n%s", bare, full)
	}
	before := "<message/>"
	for limit, want := range map[int]string{len(full): full, len(full) - 1: bare, len(bare): bare, 1: bare} {
		if got := string(appendMessage([]byte(before), m, limit)); got != before+want {
			t.Errorf("limit %d: %s", limit, got)
		}
	}

	synctest.Test(t, func(t *testing.T) {
		limit := 1000
		r, conn := memory(t, xmpptest.Options{}, func(c *Config) { c.MaxStanzaBytes = limit })
		m := message("big", "text")
		m.Markup = []mapping.Node{el("p", txt(strings.Repeat("x", limit)))}
		r.Deliver(parcels(m))
		st := conn.Next()
		if st.ID != "big" || !strings.Contains(st.Raw, "<body>text</body>") || strings.Contains(st.Raw, "html") {
			t.Errorf("written: %s", st.Raw)
		}
		r.sink.waitSettled(1)
		if o := r.sink.outcome(t, "big"); o.Kind != mapping.Processed {
			t.Errorf("outcome %v", o)
		}
		m = message("huge", strings.Repeat("x", limit)) // here the text itself is too big
		m.Markup = []mapping.Node{el("br")}
		r.Deliver(parcels(m))
		r.sink.waitSettled(2)
		if o := r.sink.outcome(t, "huge"); o.Kind != mapping.Refused || o.Failure == nil {
			t.Errorf("outcome %v", o)
		}
		r.stop()
	})
}
