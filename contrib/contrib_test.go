package contrib

import (
	"strings"
	"testing"
)

func TestSnippet(t *testing.T) {
	for name, text := range map[string]string{"prosody": Prosody, "ejabberd": Ejabberd} {
		got, err := Snippet(text, "gw.example.org", "s3cret")
		if err != nil {
			t.Fatal(err)
		}
		if strings.Count(got, `"gw.example.org"`) != 1 || strings.Count(got, `"s3cret"`) != 1 {
			t.Errorf("%s: not each value once in\n%s", name, got)
		}
		if strings.Contains(got, exampleDomain) || strings.Contains(got, exampleSecret) {
			t.Errorf("%s: the example is still in\n%s", name, got)
		}
	}
	for _, bad := range []string{"a\"b", "a\\b", "a\nb", "a\rb"} {
		if _, err := Snippet(Prosody, bad, "x"); err == nil {
			t.Errorf("domain %q is written into Lua", bad)
		}
		if _, err := Snippet(Prosody, "x", bad); err == nil || strings.Contains(err.Error(), bad) {
			t.Errorf("secret %q: %v", bad, err)
		}
	}
}
