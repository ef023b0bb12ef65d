package vectors

import (
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
)

const (
	nsComponent = "jabber:component:accept"
	nsStanzas   = "urn:ietf:params:xml:ns:xmpp-stanzas"
	nsXML       = "http://www.w3.org/XML/1998/namespace"
)

// element is an XML element as it counts: no prefixes, no order of attributes.
type element struct {
	name     xml.Name
	attrs    map[xml.Name]string
	children []any // string or *element; no two texts side by side
}

// readXML reads one element. What has no namespace has the given one.
func readXML(text, space string) (*element, error) {
	d := xml.NewDecoder(strings.NewReader(text))
	d.DefaultSpace = space
	root := &element{}
	stack := []*element{root}
	for {
		tok, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		top := stack[len(stack)-1]
		switch tok := tok.(type) {
		case xml.StartElement:
			e := &element{name: tok.Name, attrs: make(map[xml.Name]string)}
			for _, a := range tok.Attr {
				if a.Name.Local != "xmlns" && a.Name.Space != "xmlns" {
					e.attrs[a.Name] = a.Value
				}
			}
			top.children = append(top.children, e)
			stack = append(stack, e)
		case xml.EndElement:
			stack = stack[:len(stack)-1]
		case xml.CharData:
			if last := len(top.children) - 1; last >= 0 {
				if s, ok := top.children[last].(string); ok {
					top.children[last] = s + string(tok)
					continue
				}
			}
			top.children = append(top.children, string(tok))
		}
	}
	if len(root.children) != 1 {
		return nil, fmt.Errorf("%d nodes, want one element", len(root.children))
	}
	e, ok := root.children[0].(*element)
	if !ok {
		return nil, fmt.Errorf("text without an element")
	}
	return e, nil
}

// attr is an attribute without a namespace.
func (e *element) attr(name string) string { return e.attrs[xml.Name{Local: name}] }

// text is the text directly in e.
func (e *element) text() (s string) {
	for _, c := range e.children {
		if t, ok := c.(string); ok {
			s += t
		}
	}
	return s
}

// matchStanza compares a stanza with what a vector shows, and says where they differ.
// more are elements that the vector's note allows in addition.
func (n *names) matchStanza(want, got string, more []xml.Name) error {
	w, err := readXML(want, nsComponent)
	if err != nil {
		return fmt.Errorf("the vector: %w", err)
	}
	g, err := readXML(got, nsComponent)
	if err != nil {
		return fmt.Errorf("not XML: %w", err)
	}
	if w.name != (xml.Name{Space: nsComponent, Local: w.name.Local}) {
		return fmt.Errorf("%s is no stanza", w.name.Local)
	}
	place := func(c any) int { // of an element of that name among those that are shown
		e, ok := c.(*element)
		return slices.IndexFunc(w.children, func(c any) bool { w, is := c.(*element); return ok && is && w.name == e.name })
	}
	g.children = slices.DeleteFunc(g.children, func(c any) bool {
		e, ok := c.(*element)
		return ok && place(c) < 0 && (mayAdd(e.name) || slices.Contains(more, e.name))
	})
	// The parts of a stanza have no order among each other (RFC 6121 §5.2, appendix A).
	slices.SortStableFunc(g.children, func(a, b any) int { return place(a) - place(b) })
	return n.matchElement(w, g, "/"+w.name.Local)
}

// mayAdd are the children that any stanza may have: message processing hints (XEP-0334)
// and an origin-id (XEP-0359).
func mayAdd(name xml.Name) bool {
	return name.Space == "urn:xmpp:hints" || name == xml.Name{Space: "urn:xmpp:sid:0", Local: "origin-id"}
}

var (
	errorText  = xml.Name{Space: nsStanzas, Local: "text"}
	stanzaFail = xml.Name{Space: nsComponent, Local: "error"}
	langAttr   = xml.Name{Space: nsXML, Local: "lang"}
)

func (n *names) matchElement(want, got *element, path string) error {
	if want.name != got.name {
		return fmt.Errorf("%s: {%s}%s, want {%s}%s", path, got.name.Space, got.name.Local, want.name.Space, want.name.Local)
	}
	isError := want.name == stanzaFail || want.name == errorText || want.attr("type") == "error"
	for name, v := range want.attrs {
		if g, ok := got.attrs[name]; !ok || !n.match(v, g) {
			return fmt.Errorf("%s: %s=%q, want %q", path, name.Local, g, v)
		}
	}
	for name, v := range got.attrs {
		if _, ok := want.attrs[name]; !ok && !(isError && name == langAttr) {
			return fmt.Errorf("%s: has %s=%q", path, name.Local, v)
		}
	}
	have := got.children
	if want.name == stanzaFail { // texts of errors are for people, and may be added or longer
		var shown string
		said := false
		for _, c := range want.children {
			if e, ok := c.(*element); ok && e.name == errorText {
				shown, said = e.text(), true
			}
		}
		at := slices.IndexFunc(have, func(c any) bool { e, ok := c.(*element); return ok && e.name == errorText })
		switch {
		case at < 0:
		case !said:
			have = slices.Delete(slices.Clone(have), at, at+1)
		case !strings.Contains(shown, "${") && strings.Contains(have[at].(*element).text(), shown):
			have = slices.Clone(have)
			have[at] = &element{name: errorText, attrs: have[at].(*element).attrs, children: []any{shown}}
		}
	}
	if len(have) != len(want.children) {
		return fmt.Errorf("%s: %d children, want %d", path, len(have), len(want.children))
	}
	for i, c := range want.children {
		switch w := c.(type) {
		case string:
			if g, ok := have[i].(string); !ok || !n.match(w, g) {
				return fmt.Errorf("%s: %q, want the text %q", path, have[i], w)
			}
		case *element:
			g, ok := have[i].(*element)
			if !ok {
				return fmt.Errorf("%s: %q, want <%s/>", path, have[i], w.name.Local)
			}
			if err := n.matchElement(w, g, path+"/"+w.name.Local); err != nil {
				return err
			}
		}
	}
	return nil
}

// The comparison lets through what is the same and nothing else.
func TestMatchStanza(t *testing.T) {
	const message = `<message from='a@b' to='c@d' id='${id}'><body>hi &amp; bye</body></message>`
	const failed = `<message from='a@b' to='c@d' id='1' type='error'><error type='wait' by='g'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>`
	const reason = `<message from='a@b' to='c@d' id='1' type='error'><error type='wait'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>404 Not Found</text></error></message>`
	for name, c := range map[string]struct {
		want, got string
		ok        bool
	}{
		"order and quotes":    {message, `<message id="x" to="c@d" from="a@b"><body>hi &#38; bye</body></message>`, true},
		"prefix":              {message, `<c:message xmlns:c='jabber:component:accept' id='x' to='c@d' from='a@b'><c:body>hi &amp; bye</c:body></c:message>`, true},
		"order of the parts":  {"<message><subject>a</subject><body>b</body></message>", "<message><body>b</body><subject>a</subject></message>", true},
		"order of bodies":     {"<message><body>a</body><body>b</body></message>", "<message><body>b</body><body>a</body></message>", false},
		"order below":         {"<message><x><a/><b/></x></message>", "<message><x><b/><a/></x></message>", false},
		"hint":                {message, `<message id="x" to="c@d" from="a@b"><body>hi &amp; bye</body><store xmlns='urn:xmpp:hints'/></message>`, true},
		"origin":              {message, `<message id="x" to="c@d" from="a@b"><body>hi &amp; bye</body><origin-id xmlns='urn:xmpp:sid:0' id='x'/></message>`, true},
		"other namespace":     {message, `<message xmlns='jabber:client' id='x' to='c@d' from='a@b'><body>hi &amp; bye</body></message>`, false},
		"other text":          {message, `<message id='x' to='c@d' from='a@b'><body>hi bye</body></message>`, false},
		"other address":       {message, `<message id='x' to='c@d/r' from='a@b'><body>hi &amp; bye</body></message>`, false},
		"type":                {message, `<message id='x' to='c@d' from='a@b' type='chat'><body>hi &amp; bye</body></message>`, false},
		"language":            {message, `<message id='x' to='c@d' from='a@b' xml:lang='de'><body>hi &amp; bye</body></message>`, false},
		"no id":               {message, `<message to='c@d' from='a@b'><body>hi &amp; bye</body></message>`, false},
		"more":                {message, `<message id='x' to='c@d' from='a@b'><body>hi &amp; bye</body><thread>t</thread></message>`, false},
		"less":                {message, `<message id='x' to='c@d' from='a@b'/>`, false},
		"nested":              {message, `<message id='x' to='c@d' from='a@b'><body><b>hi &amp; bye</b></body></message>`, false},
		"broken":              {message, `<message id='x' to='c@d' from='a@b'><body>hi &amp; bye</body>`, false},
		"text of an error":    {failed, strings.Replace(failed, "</error>", "<text xml:lang='en' xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>why</text></error>", 1), true},
		"other condition":     {failed, strings.Replace(failed, "gone", "forbidden", 1), false},
		"other error type":    {failed, strings.Replace(failed, "wait", "cancel", 1), false},
		"application error":   {failed, strings.Replace(failed, "</error>", "<x xmlns='y'/></error>", 1), false},
		"longer text":         {reason, strings.Replace(reason, "404", "The server said: 404", 1), true},
		"other text of error": {reason, strings.Replace(reason, "404", "403", 1), false},
		"no text":             {reason, strings.Replace(failed, " by='g'", "", 1), false},
	} {
		if err := newNames().matchStanza(c.want, c.got, nil); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
