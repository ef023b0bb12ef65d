package component

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"
	"unicode"

	"gosrc.io/xmpp/stanza"
)

// stanzaReader is what the scanner and its oracle have in common.
type stanzaReader interface {
	stanza(soft int) (*element, string, error)
}

// newScanner returns a scanner of a stream, behind its header, that is in r.
func newScanner(t testing.TB, r io.Reader) *scanner {
	t.Helper()
	s := &scanner{source: source{fill: r.Read, buf: make([]byte, readSize)}}
	s.begin(16 << 10)
	root, empty, err := s.header()
	if err != nil || empty || root.name != (xml.Name{Space: stanza.NSStream, Local: "stream"}) {
		t.Fatalf("header: %v, %t", err, empty)
	}
	return s
}

// readAllTrees describes all stanzas up to an error.
func readAllTrees(r stanzaReader, soft int) (trees []string, err error) {
	for {
		e, over, err := r.stanza(soft)
		if err != nil {
			return trees, err
		}
		trees = append(trees, over+describe(e))
	}
}

// describe is e in one text. Of what has too many attributes only the first are in it.
func describe(e *element) string {
	var b strings.Builder
	e.cutValues()
	fmt.Fprintf(&b, "<%q %q", e.name.Space, e.name.Local)
	for _, a := range e.attrs[:min(len(e.attrs), maxAttrs)] {
		fmt.Fprintf(&b, " %q %q=%q", a.Name.Space, a.Name.Local, a.Value)
	}
	for _, name := range []string{"from", "to", "id", "type"} {
		fmt.Fprintf(&b, " %q", e.attr(name))
	}
	fmt.Fprintf(&b, " %q %q", e.lang(), e.text)
	for _, c := range e.children {
		b.WriteString(describe(c))
	}
	return b.String() + ">"
}

// pieces gives a text in reads of random sizes.
type pieces struct {
	r   io.Reader
	rnd *rand.Rand
}

func (p *pieces) Read(b []byte) (int, error) { return p.r.Read(b[:min(len(b), 1+p.rnd.IntN(20))]) }

var scanSeeds = []string{
	``, ` `, `x`, `</stream:stream>`, `</stream:stream >`, `</stream>`, "\n \t\r", `<`, `<a`, `<a `, `<a b`, `<a b=`, `<a b='`, `<a b='c'`, `<a b='c'/`, `<a/>`,
	`<message from='juliet@example.com/b' to='romeo@sip.example.com' id='i' type='chat' xml:lang='cs'><body>Dobr&#xFD; den</body><request xmlns='urn:xmpp:receipts'/></message>`,
	`<iq type="get" id="1" from='a@b' to='c'><query xmlns='http://jabber.org/protocol/disco#info'/></iq><iq type='result' id='p-b17' from='c' to='c'/>`,
	`<a>x<b>y</b>z<c/>&amp;</a>`, `<a b="'" c='"' d = 'e'	f
='g'/>`, `<a >x</a >`, `<a></a>x<b/>`,
	`<a xmlns='u'><b/><c xmlns=''><d/></c><e xmlns='v'/><f/></a><g/>`,
	`<p:a xmlns:p='u' p:x='1' q:y='2' xml:lang='en' xmlns:q='v'><p:b xmlns:p='w'><p:c/></p:b><p:d/><r:e/></p:a><p:f/>`,
	`<a xmlns:p='u'><b xmlns:p=''><p:c p:d=''/></b><p:e/></a>`, `<xmlns:a xmlns:xmlns='u' xmlns:xml='v' xml:b=''/>`, `<stream:error><x xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>`,
	`<:a/>`, `<a:/>`, `<a:b:c/>`, `<a b:='' :c='' />`, `<:/>`, `<-a/>`, `<a1.-_/>`, `<1/>`, `<ä ö='ü'/>`, "<\xc3/>", "<a\xc3/>", "<a·/>", "<·/>", "<\U00010000/>", "<a٠/>", "<\u2070/>",
	`<a>&lt;&gt;&amp;&apos;&quot;&#65;&#x41;&#x00000041;&#9;&#10;&#13;&#x10FFFF;</a>`, `<a b='&lt;&gt;&amp;&apos;&quot;&#65;&#x41;&#9;&#10;&#13;'/>`,
	`<a>&#0;</a>`, `<a>&#x1F;</a>`, `<a>&#xFFFE;</a>`, `<a>&#xD800;</a>`, `<a b='&#xDFFF;'/>`, `<a>&#x110000;</a>`, `<a>&#99999999999999999999;</a>`, `<a>&#xffffffffffffffffff;</a>`, `<a>&#;</a>`, `<a>&#x;</a>`, `<a>&#X41;</a>`, `<a>&#x4g;</a>`, `<a>&#65</a>`,
	`<a>&nbsp;</a>`, `<a>&;</a>`, `<a>& </a>`, `<a>&amp</a>`, `<a>&quote;</a>`, `<a>&Lt;</a>`, `<a b='&x;'/>`, `<a>&am&amp;</a>`,
	"<a>\r\n\r\r\n\n</a>", "<a b='\r\n\t\r\n'/>", "<a>\r</a>", "<a><![CDATA[\r\n\r]]></a>", "<a>&#13;\n</a>", "<a>]\r]></a>",
	`<a><![CDATA[<b>&amp;]]]]><![CDATA[>]]></a>`, `<a>x<![CDATA[]]>y<![CDATA[]]]]]></a>`, `<![CDATA[x]]><a/>`, `<a><![CDATA[x</a>`, `<a><![CDAT[x]]></a>`, `<a><![</a>`, "<a><![CDATA[\x01]]></a>", `<a>]<![CDATA[]]>]></a>`,
	`<a>]]></a>`, `<a>]]&gt;</a>`, `<a>]&#93;></a>`, `<a>]]]></a>`, `<a>>]>]] ></a>`, `<a b=']]>'/>`, `]]>`, `x&amp;y<a/>`,
	"<a>\x00</a>", "<a>\x7f\u0080\uFFFD</a>", "<a>\uFFFE</a>", "<a>\uFFFF</a>", "<a>\xed\xa0\x80</a>", "<a>\xf4\x90\x80\x80</a>", "<a>\xc0\x80</a>", "<a>\xe2\x82</a>", "<a>\xe2", "<a b='\xff'/>", "<a>žluťoučký kůň 👍🏽</a>", "<a b='žluť👍'/>", "\xff",
	`<a b='<'/>`, `<a b=c/>`, `<a b/>`, `<a b 'c'/>`, `<a b='c' b='d'/>`, `<a p:b='c' q:b='d' b=''/>`, `<a xmlns:p='u' xmlns:q='u' p:b='' q:b=''/>`, `<a b='c'd='e'/>`, `<a b='c'/ >`, `<a/ b=''>`, `<a//>`, `< a/>`, `<a></ a>`, `</>`, `<>`, `<a></b>`, `<a><b></a></b>`, `<a></a/>`, `<a></a b=''>`, `<a:b></c:b>`, `<a=''/>`,
	`<!-- x --><a/>`, `<a><!-- x --></a>`, `<!DOCTYPE x>`, `<a><!x></a>`, `<?x y?>`, `<a><?xml version='1.0'?></a>`, `<!`, `<?`, `<!-`, `<![`,
	strings.Repeat(`<a>`, maxDepth+1) + strings.Repeat(`</a>`, maxDepth+1), `<r>` + strings.Repeat(`<a/>`, maxElements) + `</r><s/>`,
	`<a` + manyAttrs(maxAttrs+6) + ` id='i' p:from='x' from='f' xml:lang='l'/><b/>`, `<a><b` + manyAttrs(maxAttrs+1) + `/><c>x</c></a><d/>`,
	`<a id='i'>` + strings.Repeat("x", 4000) + `<b xmlns='u'>&amp;</b></a><c/>`, `<a>` + strings.Repeat("<b c='d'>&lt;</b>", 300) + `</a><c/>`,
}

func manyAttrs(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, " a%d='%d'", i, i)
	}
	return b.String()
}

// FuzzScan: the trees of encoding/xml, and of whatever it refuses none. What it takes and
// XML does not have is in TestScanIsStrict; nothing else is.
func FuzzScan(f *testing.F) {
	for i, s := range scanSeeds {
		f.Add([]byte(s), uint16(2000), uint64(i))
	}
	f.Fuzz(func(t *testing.T, text []byte, soft uint16, seed uint64) {
		all := append([]byte(streamHeader), text...)
		trees, err := readAllTrees(newScanner(t, bytes.NewReader(all)), int(soft))
		for name, r := range map[string]io.Reader{
			"octet by octet":   iotest.OneByteReader(bytes.NewReader(all)),
			"in random pieces": &pieces{bytes.NewReader(all), rand.New(rand.NewPCG(seed, 1))},
		} {
			again, err2 := readAllTrees(newScanner(t, r), int(soft))
			if fmt.Sprint(again) != fmt.Sprint(trees) || err2.Error() != err.Error() {
				t.Fatalf("%s: %q, %v; in one piece %q, %v", name, again, err2, trees, err)
			}
		}
		o := newOracle(bytes.NewReader(all))
		if err := o.header(); err != nil {
			t.Fatal(err)
		}
		want, wantErr := readAllTrees(o, int(soft))
		for i := range min(len(want), len(trees)) {
			if trees[i] != want[i] {
				t.Fatalf("stanza %d of %q:\n%s, want\n%s", i, text, trees[i], want[i])
			}
		}
		switch {
		case len(trees) < len(want) && !stricter(text, err):
			t.Errorf("%q: stanza %d is refused with %v, and is %s", text, len(trees), err, want[len(trees)])
		case len(trees) > len(want) && !newerName(text, wantErr):
			t.Errorf("%q: stanza %d is refused by encoding/xml with %v, and is %s here", text, len(want), wantErr, trees[len(want)])
		case len(trees) == len(want) && errors.Is(wantErr, errStreamEnd) != errors.Is(err, errStreamEnd) && !stricter(text, err) && !newerName(text, wantErr):
			t.Errorf("%q: the stream ends with %v, want %v", text, err, wantErr)
		}
	})
}

var (
	surrogate = regexp.MustCompile(`&#(x0*[dD][89a-fA-F][0-9a-fA-F]{2}|0*5[567][0-9]{3});`)
	crowded   = regexp.MustCompile(`=[ \t\r\n]*('[^'<]*'|"[^"<]*")[^ \t\r\n/>]`)
	twice     = regexp.MustCompile(`[ \t\r\n]([^ \t\r\n='"<>/]+)[ \t\r\n]*=`)
)

// stricter reports whether there is a reason in text for err that encoding/xml does not
// know.
func stricter(text []byte, err error) bool {
	switch {
	case errors.Is(err, errChar):
		return surrogate.Match(text)
	case errors.Is(err, errTag):
		return crowded.Match(text)
	case errors.Is(err, errDuplicate):
		seen := map[string]bool{}
		for _, m := range twice.FindAllSubmatch(text, -1) {
			if seen[string(m[1])] {
				return true
			}
			seen[string(m[1])] = true
		}
	}
	return false
}

// newerName reports whether encoding/xml may have found fault with a name that later
// editions of XML allow.
func newerName(text []byte, err error) bool {
	var syntax *xml.SyntaxError
	return errors.As(err, &syntax) && strings.Contains(syntax.Msg, "name") && bytes.ContainsFunc(text, func(c rune) bool { return c > unicode.MaxASCII })
}

// Each difference to encoding/xml, and why it is one.
func TestScanIsStrict(t *testing.T) {
	for _, tt := range []struct {
		text string
		err  error // nil: it is taken
		why  string
	}{
		{`<a b='c' b='d'/>`, errDuplicate, "XML 1.0 §3.1: no attribute comes twice"},
		{`<a xmlns='u' xmlns='u'/>`, errDuplicate, "the same"},
		{`<a><b p:c='' p:c=''/></a>`, errDuplicate, "the same"},
		{`<a b='c'd='e'/>`, errTag, "XML 1.0 §3.1: there is white space between attributes"},
		{`<a>&#xD800;</a>`, errChar, "XML 1.0 §4.1: a reference is to a character"},
		{`<a b='&#57343;'/>`, errChar, "the same"},
		{"<\u2070/>", nil, "XML 1.0 §2.3, fifth edition: most characters are good for names"},
		{"<a \U00010000=''/>", nil, "the same"},
	} {
		all := streamHeader + tt.text
		_, _, err := newScanner(t, strings.NewReader(all)).stanza(1 << 16)
		if !errors.Is(err, tt.err) || (err == nil) != (tt.err == nil) {
			t.Errorf("%s: %v, want %v: %s", tt.text, err, tt.err, tt.why)
		}
		o := newOracle(strings.NewReader(all))
		if err := o.header(); err != nil {
			t.Fatal(err)
		}
		if _, _, err := o.stanza(1 << 16); (err == nil) == (tt.err == nil) {
			t.Errorf("%s: encoding/xml says %v: this is no difference", tt.text, err)
		}
	}
}
