package component

import (
	"strings"
	"testing"
	"testing/iotest"
)

// What servers and clients write goes the quick way, to the end of an element where there are
// no others in it; what is not as everybody writes it, and what is wrong, does not. Either way
// the tree is the same: an octet at a time, no tag goes the quick way.
func TestQuickTag(t *testing.T) {
	const tag, element, no = "tag", "element", "no"
	for text, want := range map[string]string{
		`<body>`:                       tag,
		`<body>one two</body>`:         element,
		`<body></body>`:                element,
		`<body>x]]y]</body>`:           element,
		"<body>\t\n\"it's\"</body>":    element,
		`<body/>`:                      element,
		`<body />`:                     element,
		`<body xml:lang='en'>x</body>`: element,
		`<body xml:space="preserve" xml:lang="en" />`:             element,
		`<x xmlns='urn:x' type='a' lang='b' id='' by="its">x</x>`: element,
		`<x by="it's"/>`:                 no,
		`<x xmlns=''/>`:                  element,
		`<x xmlns='urn:x'><y/></x>`:      tag,
		`<body>a &amp; b</body>`:         tag,
		`<body>a > b</body>`:             tag,
		`<body>é</body>`:                 tag,
		`<body>x</body >`:                tag,
		`<body>x</bode>`:                 tag,
		`<body>x</bodyy>`:                tag,
		"<body>\r</body>":                tag,
		"<body>\x00</body>":              tag,
		`<x a='1'/>`:                     element,
		`<x a='1' b='2' a='3'/>`:         no,
		`<x xml:lang='1' xml:lang='2'/>`: no,
		`<x a='1'b='2'/>`:                no,
		`<x  a='1'/>`:                    no,
		"<x\na='1'/>":                    no,
		`<x a ='1'/>`:                    no,
		`<x a= '1'/>`:                    no,
		`<x a=1/>`:                       no,
		`<x a/>`:                         no,
		`<x a='1/>`:                      no,
		`<x a='&lt;'/>`:                  no,
		`<x a='<'/>`:                     no,
		`<x a='é'/>`:                     no,
		"<x a='\x01'/>":                  no,
		`<x a='1' / >`:                   no,
		`<x a='1'`:                       no,
		`<x/`:                            no,
		`<é/>`:                           no,
		`<x é='1'/>`:                     no,
		`<1/>`:                           no,
		`<x 1='1'/>`:                     no,
		`<x :a='1'/>`:                    no,
		`<x xml:='1'/>`:                  no,
		`<x xml:a:b='1'/>`:               no,
		`<stream:x/>`:                    no,
		`<x stream:a='1'/>`:              no,
		`<x xmlns:a='1'/>`:               no,
		`<x xml:xmlns='1'/>`:             element,
		`<x a='` + strings.Repeat("x", smallTag) + `'/>`: no,
		`<x` + strings.Repeat("x", smallTag) + `/>`:      no,
		`<x` + manyAttrs(maxAttrs) + `/>`:                no, // too long
		`<x>` + strings.Repeat("long ", 1000) + `</x>`:   element,
		`<x>` + strings.Repeat("long ", 1000) + `</x`:    tag,
	} {
		all := streamHeader + "<message id='i'>" + text + "</message>"
		s := newScanner(t, strings.NewReader(streamHeader+text))
		s.begin(1 << 20)
		if err := s.skipSpace(); err != nil {
			t.Fatal(err)
		}
		s.r++
		at, depth, values, e := s.r, len(s.open), len(s.values), s.plant()
		got := no
		switch _, how, ok := s.quickTag(e, true); {
		case ok && how == whole:
			got = element
		case ok:
			got = tag
		}
		if got != want {
			t.Errorf("%.60s: %s goes the quick way, want %s", text, got, want)
		}
		if got == no && (s.r != at || len(e.attrs) != 0 || len(s.values) != values) || got != tag && len(s.open) != depth {
			t.Errorf("%.60s: something is left of %+v", text, e)
		}
		quick, err1 := readAllTrees(newScanner(t, strings.NewReader(all)), 1<<20)
		slow, err2 := readAllTrees(newScanner(t, iotest.OneByteReader(strings.NewReader(all))), 1<<20)
		if strings.Join(quick, "\n") != strings.Join(slow, "\n") || err1.Error() != err2.Error() {
			t.Errorf("%.60s: %q, %v, octet by octet %q, %v", text, quick, err1, slow, err2)
		}
	}
}

// The limits hold in the same way.
func TestQuickTagLimits(t *testing.T) {
	for _, text := range []string{
		strings.Repeat("<x>y</x>", maxElements),
		strings.Repeat("<x>", maxDepth-2) + "<y/><y>z</y>" + strings.Repeat("</x>", maxDepth-2),
		strings.Repeat("<x>", maxDepth-1) + "<y/>" + strings.Repeat("</x>", maxDepth-1),
		strings.Repeat("<x>", maxDepth-1) + "<y>z</y>" + strings.Repeat("</x>", maxDepth-1),
		"<x>" + strings.Repeat("y", 400) + "</x>",
		"<x>" + strings.Repeat("y", 500) + "</x><z/>",
		strings.Repeat("<x/>", 200),
	} {
		for soft := 390; soft < 560; soft++ {
			all := streamHeader + "<message>" + text + "</message>"
			quick, over1, err := newScanner(t, strings.NewReader(all)).stanza(soft)
			if err != nil {
				t.Fatal(err)
			}
			slow, over2, err := newScanner(t, iotest.OneByteReader(strings.NewReader(all))).stanza(soft)
			if err != nil {
				t.Fatal(err)
			}
			if over1 != over2 || describe(quick) != describe(slow) {
				t.Fatalf("%.40s of %d octets: %q, octet by octet %q", text, len(text), over1, over2)
			}
		}
	}
}
