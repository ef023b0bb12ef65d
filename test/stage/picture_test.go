package stage

import (
	"strings"
	"testing"
)

// What is drawn is what the screen has, in its colours, and nothing of it can be markup.
func TestPicture(t *testing.T) {
	screen := "\x1b[37m\x1b[44m Romeo \x1b[36m[\x1b[37monline\x1b[36m]\x1b[37m   \n" +
		"\x1b[31m\x1b[49m-- offline\n" +
		"\x1b[33mme: \x1b[39mžluť <b>&amp;</b>\n" +
		"\n" +
		"\x1b[1;4;38;5;2mbold\x1b[0m and \x1b[7mturned\x1b[27m\n\n"
	svg := Picture("a <title>", "Client 1.0", screen, 30)
	text, err := PictureText(svg)
	if err != nil {
		t.Fatal(err)
	}
	want := " Romeo [online]\n-- offline\nme: žluť <b>&amp;</b>\n\nbold and turned"
	if text != want {
		t.Errorf("the text is\n%q, want\n%q", text, want)
	}
	for _, part := range []string{
		`<title>a &lt;title&gt;</title>`, `<desc>Client 1.0</desc>`, `width="260" height="110"`,
		`<rect x="10" y="10" width="56" height="18" fill="#6f9fd0"/>`, // behind " Romeo "
		`fill="#cc6666" xml:space="preserve">-- offline<`,             // red, on no colour of its own
		`fill="#c5c8c6" xml:space="preserve">žluť &lt;b&gt;&amp;amp;&lt;/b&gt;<`,
		`fill="#8cb36c" font-weight="bold" text-decoration="underline" xml:space="preserve">bold<`,
		`fill="#1d1f21" xml:space="preserve">turned<`,
	} {
		if !strings.Contains(svg, part) {
			t.Errorf("the picture has no %s:\n%s", part, svg)
		}
	}
	if n := strings.Count(svg, "<rect"); n != 1+5+1 { // the screen, the title bar, what is turned
		t.Errorf("%d areas:\n%s", n, svg)
	}
	for _, c := range []struct {
		begin, text string
		want        int
	}{{" Romeo", "Romeo", 7}, {"", "-- offline", 1}, {"me: ", "žluť", 7}, {"", "turned", 7}, {"", "bold", 2}} {
		if ink, found := inkOf(screen, c.begin, c.text); !found || ink != c.want {
			t.Errorf("%q has the colour %d, %v; want %d", c.text, ink, found, c.want)
		}
	}
	for _, text := range []string{"tybalt", "bold"} { // not there, and not in such a line
		if _, found := inkOf(screen, "me: ", text); found {
			t.Errorf("found %q", text)
		}
	}
}
