package texts

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// walk calls f with each text of t, by its path.
func walk(t *Texts, f func(path, text string)) {
	var one func(path string, v reflect.Value)
	one = func(path string, v reflect.Value) {
		switch v.Kind() {
		case reflect.String:
			f(path, v.String())
		case reflect.Struct:
			for i := range v.NumField() {
				one(path+"."+v.Type().Field(i).Name, v.Field(i))
			}
		case reflect.Slice:
			for i := range v.Len() {
				one(fmt.Sprintf("%s[%d]", path, i), v.Index(i))
			}
			if v.Len() == 0 {
				f(path+"[0]", "")
			}
		case reflect.Map:
			for _, k := range v.MapKeys() {
				one(fmt.Sprintf("%s[%q]", path, k.String()), v.MapIndex(k))
			}
		default:
			panic(path)
		}
	}
	one("", reflect.ValueOf(t).Elem())
}

var verb = regexp.MustCompile(`%(\[\d+\])?[a-z]`)

// optional are texts that need not be there: whoever has no argument needs no usage, and what
// only programs call has no words.
func optional(path string) bool {
	return strings.HasPrefix(path, ".Commands[") && (strings.HasSuffix(path, ".Usage") || strings.Contains(path, "protocol/admin"))
}

// Every language has every text of the English ones, with the same placeholders.
func TestLanguagesAreComplete(t *testing.T) {
	source := map[string]string{}
	walk(&english, func(path, text string) { source[path] = text })
	if len(source) < 200 {
		t.Fatalf("only %d English texts were found", len(source))
	}
	for _, lang := range Languages() {
		seen := map[string]bool{}
		walk(lang, func(path, text string) {
			seen[path] = true
			base, ok := source[path]
			switch {
			case !ok:
				t.Errorf("%s: %s is not in English", lang.Lang, path)
			case text == "" && base != "" || text == "" && !optional(path):
				t.Errorf("%s: %s is empty", lang.Lang, path)
			case !slices.Equal(verb.FindAllString(text, -1), verb.FindAllString(base, -1)):
				t.Errorf("%s: %s: %q has other placeholders than %q", lang.Lang, path, text, base)
			case strings.Count(text, "%") != len(verb.FindAllString(text, -1)):
				t.Errorf("%s: %s: %q has a stray percent sign", lang.Lang, path, text)
			case !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) || strings.TrimSpace(text) != text || strings.Contains(text, "  "):
				t.Errorf("%s: %s: %q has odd characters or spaces", lang.Lang, path, text)
			}
		})
		for path := range source {
			if !seen[path] {
				t.Errorf("%s: %s is missing", lang.Lang, path)
			}
		}
	}
}

// A sentence that is left in English in another language would stand out.
func TestLanguagesDiffer(t *testing.T) {
	source := map[string]string{}
	walk(&english, func(path, text string) { source[path] = text })
	for _, lang := range Languages()[1:] {
		walk(lang, func(path, text string) {
			if text == source[path] && strings.Count(text, " ") > 2 && !strings.HasSuffix(path, ".Usage") {
				t.Errorf("%s: %s is the English text: %q", lang.Lang, path, text)
			}
		})
	}
}

// No word means two commands, in whatever language, and each word is one word.
func TestWordsAreUnique(t *testing.T) {
	means := map[string]string{}
	for _, lang := range Languages() {
		for node, c := range lang.Commands {
			for _, w := range c.Words {
				if strings.ContainsFunc(w, unicode.IsSpace) || w != strings.ToLower(w) {
					t.Errorf("%q is no word", w)
				}
				if was, ok := means[w]; ok && was != node {
					t.Errorf("%q means %s and %s", w, was, node)
				}
				means[w] = node
				if got, in := ByWord(strings.ToUpper(w)); got != node || !slices.Contains(in.Commands[node].Words, w) {
					t.Errorf("ByWord(%q) is %q", w, got)
				}
			}
		}
	}
	if node, in := ByWord("hello"); node != "" || in != nil {
		t.Errorf("hello means %q", node)
	}
}

func TestFor(t *testing.T) {
	for _, c := range []struct{ lang, want string }{
		{"", "en"}, {"en", "en"}, {"en-GB", "en"}, {"de", "de"}, {"de-AT", "de"}, {"DE", "de"}, {"De-ch-1996", "de"},
		{"fr", "en"}, {"deu", "en"}, {"-de", "en"}, {strings.Repeat("d", 1<<20), "en"}, {"de\x00", "en"},
	} {
		if got := For(c.lang).Lang; got != c.want {
			t.Errorf("For(%.20q) is %s, want %s", c.lang, got, c.want)
		}
	}
	for _, c := range []struct{ name, want string }{{"de", "de"}, {"Deutsch", "de"}, {"german", "de"}, {"english", "en"}, {"Englisch", "en"}, {"klingon", ""}, {"", ""}} {
		got := ""
		if n := Named(c.name); n != nil {
			got = n.Lang
		}
		if got != c.want {
			t.Errorf("Named(%q) is %q, want %q", c.name, got, c.want)
		}
	}
}

func TestHelping(t *testing.T) {
	examples := []Example{{Contact: "romeo@sip.example.com", Means: "sip:romeo@example.net"}, {Contact: "+12025550123@sip.example.com", Means: "+1 202 555 0123", Number: true},
		{Contact: `romeo\40example.org@sip.example.com`, Means: "sip:romeo@example.org", Others: true}}
	got := For("en").Helping("sip.example.com", examples, "account, lookup")
	want := `This is the gateway to SIP. Write to one of its addresses, or add it to your contacts:

romeo@sip.example.com
    is sip:romeo@example.net

+12025550123@sip.example.com
    is the telephone number +1 202 555 0123

romeo\40example.org@sip.example.com
    is sip:romeo@example.org, and so on for all other SIP addresses

You can also write a command to me: account, lookup. What each of them does, "commands" says.

To read this again, write "help" to sip.example.com.`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	german := For("de").Helping("sip.example.com", examples, "")
	if !strings.HasPrefix(german, "Dies ist das Gateway") || !strings.Contains(german, "schreiben Sie „hilfe“ an sip.example.com.") {
		t.Errorf("the German help is\n%s", german)
	}
}
