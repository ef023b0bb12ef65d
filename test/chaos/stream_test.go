package main

import (
	"slices"
	"testing"
)

// A stream gives the same stanzas in whatever pieces it comes.
func TestSplitter(t *testing.T) {
	const stream = `<?xml version='1.0'?><stream:stream to='a>b' xmlns='x'> <a id='1'/><b q="'>"><b>text</b><c/></b>` +
		"\n" + `<message id='m-3' type='error'><body>x</body><error><gone xmlns='y'>z</gone><text>why</text></error></message></stream:stream>`
	want := []string{`<stream:stream to='a>b' xmlns='x'>`, `<a id='1'/>`, `<b q="'>"><b>text</b><c/></b>`,
		`<message id='m-3' type='error'><body>x</body><error><gone xmlns='y'>z</gone><text>why</text></error></message>`}
	for size := 1; size <= len(stream); size++ {
		var got []string
		var s splitter
		for piece := range slices.Chunk([]byte(stream), size) {
			if err := s.feed(piece, func(b []byte) { got = append(got, string(b)) }); err != nil {
				t.Fatalf("pieces of %d: %v", size, err)
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("pieces of %d: %q", size, got)
		}
		if len(s.buf) > 0 {
			t.Fatalf("pieces of %d: %q is kept", size, s.buf)
		}
	}
	st, err := parseStanza([]byte(want[3]))
	if condition, text := st.fault(); err != nil || st.ID != "m-3" || st.Body != "x" || condition != "gone" || text != "why" {
		t.Errorf("%+v, %v", st, err)
	}
	var s splitter
	if s.feed([]byte("<a></a></a>"), func([]byte) {}) == nil {
		t.Error("an end without a beginning was accepted")
	}
}

func TestNumber(t *testing.T) {
	if n, ok := number(body("to-sip", 17), "to-sip"); !ok || n != 17 {
		t.Errorf("%d, %v", n, ok)
	}
	for _, s := range []string{"", "to-sip-", "to-sip-x", "m-1", body("to-xmpp", 1)} {
		if n, ok := number(s, "to-sip"); ok {
			t.Errorf("%q is %d", s, n)
		}
	}
}
