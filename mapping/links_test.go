package mapping

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// CT-16, M-045: a link is text for SIP, on a line of its own unless the text has it.
func TestLinks(t *testing.T) {
	r := testRules(t)
	many := make([]string, maxLinks)
	for i := range many {
		many[i] = fmt.Sprintf("https://e.example/%02d", i)
	}
	for _, c := range []struct {
		body string
		urls []string
		want string // "" for a refusal
	}{
		{"https://up.example.com/a.jpg", []string{"https://up.example.com/a.jpg"}, "https://up.example.com/a.jpg"},
		{"look", []string{"https://e.example/a"}, "look\r\nhttps://e.example/a"},
		{"look\n", []string{"https://e.example/a"}, "look\r\n\r\nhttps://e.example/a"},
		{"", []string{"https://e.example/a"}, "https://e.example/a"},
		{" \n\t", []string{"https://e.example/a"}, "https://e.example/a"},
		{"a", []string{"https://e.example/1", "http://e.example/2", "https://e.example/1"}, "a\r\nhttps://e.example/1\r\nhttp://e.example/2"},

		// Is it there already?
		{"see https://e.example/a, then (https://e.example/b).", []string{"https://e.example/a", "https://e.example/b"}, "see https://e.example/a, then (https://e.example/b)."},
		{"<https://e.example/a>", []string{"https://e.example/a"}, "<https://e.example/a>"},
		{"https://e.example/a\nmore", []string{"https://e.example/a"}, "https://e.example/a\r\nmore"},
		{"https://e.example/a.jpg", []string{"https://e.example/a"}, "https://e.example/a.jpg\r\nhttps://e.example/a"},
		{"https://e.example/a/b https://e.example/a", []string{"https://e.example/a"}, "https://e.example/a/b https://e.example/a"},
		{"https://e.example/ahttps://e.example/a", []string{"https://e.example/a"}, "https://e.example/ahttps://e.example/a\r\nhttps://e.example/a"},
		{"HTTPS://E.EXAMPLE/A", []string{"https://e.example/A"}, "HTTPS://E.EXAMPLE/A\r\nhttps://e.example/A"},

		// What a link may be.
		{"", []string{"xmpp:a@b?join", "mailto:a@b", "sip:a@b", "sips:a@b", "tel:+1", "geo:1,2", "ftp://h/f", "HTTP://h/", "https://h"},
			"xmpp:a@b?join\r\nmailto:a@b\r\nsip:a@b\r\nsips:a@b\r\ntel:+1\r\ngeo:1,2\r\nftp://h/f\r\nHTTP://h/\r\nhttps://h"},
		{"x", []string{"javascript:alert(1)", "data:text/plain,x", "cid:1", "file:///etc/passwd", "https:", "https", ":", "", "//e.example/", "e.example"}, "x"},
		{"", []string{"javascript:alert(1)", "cid:1"}, ""},
		{" ", []string{"cid:1"}, ""},
		{"", []string{"cid:1", "https://e.example/a"}, "https://e.example/a"},
		{"", many, strings.Join(many, "\r\n")},

		// It stays one line, whatever is in it.
		{"x", []string{" https://e.example/a b\r\nFrom: <sip:evil@example>\u2028\u0085\x00 "}, "x\r\nhttps://e.example/a%20bFrom:%20<sip:evil@example>"},
		{"x", []string{"https://e.example/\ufffe\xff"}, "x\r\nhttps://e.example/\ufffd\ufffd"},
		{`https://e.example/"<a>`, []string{`https://e.example/"<a>`}, `https://e.example/"<a>`},
	} {
		m := xmppMessage(c.body)
		m.URLs = c.urls
		got, err := r.ToSIP(m)
		if c.want == "" {
			if f := failure(t, err); len(got) != 0 || f.Status != 488 || f.Condition != CondNotAcceptable || f.Type != TypeModify {
				t.Errorf("%q, %q: %v, %v", c.body, c.urls, got, f)
			}
			continue
		}
		if err != nil || len(got) != 1 {
			t.Errorf("%q, %q: %v, %v", c.body, c.urls, got, err)
			continue
		}
		if body := string(got[0].(*SIPMessage).Body); body != c.want {
			t.Errorf("%q, %q:\n got %q\nwant %q", c.body, c.urls, body, c.want)
		}
	}
}

// More links than anybody sends are refused, and not some of them dropped.
func TestTooManyLinks(t *testing.T) {
	m := xmppMessage("x")
	for range maxLinks + 1 {
		m.URLs = append(m.URLs, "https://e.example/a")
	}
	got, err := testRules(t).ToSIP(m)
	if f := failure(t, err); len(got) != 0 || f.Condition != CondPolicyViolation || f.Type != TypeModify {
		t.Errorf("%v, %v", got, f)
	}
}

// A stanza without a body, but with a link, has the language of the stanza.
func TestLinkAlone(t *testing.T) {
	m := &XMPPMessage{From: MustParseJID("juliet@example.com/b"), To: MustParseJID("romeo@example.net"), Lang: "cs",
		URLs: []string{"https://e.example/a"}, Subjects: []Text{{Value: "Obrázek"}}}
	got, err := testRules(t).ToSIP(m)
	if err != nil || len(got) != 1 {
		t.Fatal(got, err)
	}
	if s := got[0].(*SIPMessage); s.Lang != "cs" || s.Subject != "Obrázek" || s.Subjects != nil || s.ContentType != plainUTF8 {
		t.Errorf("%+v", s)
	}
}

// Whatever text and links are: each link is in what is sent, a link that the text has is
// not said twice, and the text is still in front.
func TestLinksProperty(t *testing.T) {
	words := pieces([]string{"https://e.example/", "a", "b", "/", ".", ",", " ", "\n", "?", ")", "<", "é", "sip:x@y", "tel:1", ":"}, 0, 12)
	rapid.Check(t, func(t *rapid.T) {
		text, links := words.Draw(t, "text"), rapid.SliceOfN(words, 1, 5).Draw(t, "links")
		got, f := withLinks(text, links)
		usable := 0
		for _, l := range links {
			if l = cleanLink(l); isLink(l) {
				usable++
				if f == nil && !hasLink(got, l) {
					t.Fatalf("%q with %q: %q has no %q", text, links, got, l)
				}
			}
		}
		blank := strings.TrimSpace(text) == ""
		if (f != nil) != (blank && usable == 0) {
			t.Fatalf("%q with %q: %q, %v", text, links, got, f)
		}
		if f != nil {
			return
		}
		if !blank && !strings.HasPrefix(got, text) {
			t.Fatalf("%q with %q: %q", text, links, got)
		}
		if again, f := withLinks(got, links); f != nil || again != got {
			t.Fatalf("%q with %q: %q, and once more %q", text, links, got, again)
		}
	})
}
