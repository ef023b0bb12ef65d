package mapping

import (
	"strings"
	"testing"
)

// SEC-13: access.allow.
func TestAccess(t *testing.T) {
	a, err := NewAccess([]string{"example.com", "Nurse@Elsewhere.example/phone", "capulet.example"})
	if err != nil {
		t.Fatal(err)
	}
	for s, want := range map[string]bool{
		"example.com":                    true,
		"juliet@example.com":             true,
		"juliet@example.com/balcony":     true,
		"EXAMPLE.com":                    true,
		"juliet@sub.example.com":         false,
		"juliet@notexample.com":          false,
		"com":                            false,
		"nurse@elsewhere.example":        true,
		"nurse@elsewhere.example/tablet": true,
		"nurse2@elsewhere.example":       false,
		"elsewhere.example":              false,
		"elsewhere.example/nurse":        false,
		"example.com@elsewhere.example":  false,
		"capulet.example/x":              true,
	} {
		if got := a.Allows(MustParseJID(s)); got != want {
			t.Errorf("%s: %v, want %v", s, got, want)
		}
	}
	if a.Allows(JID{}) {
		t.Error("no address at all is allowed")
	}

	all, err := NewAccess([]string{"example.com", "*"})
	if err != nil {
		t.Fatal(err)
	}
	if !all.Allows(MustParseJID("anybody@anywhere.example")) || all.Allows(JID{}) {
		t.Error(`"*" is everybody with an address`)
	}

	none, err := NewAccess(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []Access{none, {}} {
		if a.Allows(MustParseJID("juliet@example.com")) {
			t.Error("an empty list allows somebody")
		}
	}
}

func TestAccessErrors(t *testing.T) {
	bad := []string{"", "@example.com", "a@", "*@example.com", "*.example.com", "a b@example.com"}
	a, err := NewAccess(append(bad, "example.com"))
	if err == nil {
		t.Fatal("no error")
	}
	for _, s := range bad {
		if !strings.Contains(err.Error(), `"`+s+`"`) {
			t.Errorf("%q is not named in: %v", s, err)
		}
	}
	if a.Allows(MustParseJID("a@example.com")) {
		t.Error("a list with errors allows somebody")
	}
}
