package mapping

import (
	"encoding/json"
	"os"
	"slices"
	"testing"
	"time"
)

// errorVectors is testdata/errors.json.
type errorVectors struct {
	DefaultTypes  map[Condition]ErrorType `json:"condition_default_type"`
	ClassDefaults map[string]Condition    `json:"class_defaults"`
	ToSIP         []toSIPVector           `json:"xmpp_to_sip"`
	ToSIPStrict   []toSIPVector           `json:"xmpp_to_sip_strict"`
	ToXMPP        []struct {
		ID           string
		Code         int
		ClassDefault Condition `json:"class_default"`
		RFC7247      Condition
		Condition    Condition
		Type         ErrorType
	} `json:"sip_to_xmpp"`
	Local []localVector
}

type toSIPVector struct {
	ID        string
	Condition Condition
	JIDForm   string `json:"jid_form"`
	HasURI    bool   `json:"has_uri"`
	Code      int
}

type localVector struct {
	ID, Event   string
	SIPCode     int  `json:"sip_code"`
	AsSIP       *int `json:"as_sip"`
	Condition   Condition
	Type        ErrorType
	RetryAfter  *bool `json:"retry_after"`
	RetryAfterS []int `json:"retry_after_s"`
}

func loadErrors(t *testing.T) errorVectors {
	t.Helper()
	b, err := os.ReadFile("testdata/errors.json")
	if err != nil {
		t.Fatal(err)
	}
	var v errorVectors
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	if len(v.ToSIP) != 50 || len(v.ToSIPStrict) != 50 || len(v.ToXMPP) != 70 || len(v.Local) != 28 {
		t.Fatalf("testdata/errors.json is not whole: %d %d %d %d",
			len(v.ToSIP), len(v.ToSIPStrict), len(v.ToXMPP), len(v.Local))
	}
	return v
}

// ERR-01, ERR-05, ERR-15: both tables, every condition, bare and full.
func TestTableStatus(t *testing.T) {
	v := loadErrors(t)
	for _, c := range []struct {
		name  string
		table *Table
		rows  []toSIPVector
	}{{"Default", Default, v.ToSIP}, {"Strict", Strict, v.ToSIPStrict}} {
		for _, row := range c.rows {
			if got := c.table.Status(row.Condition, row.JIDForm == "bare", row.HasURI); got != row.Code {
				t.Errorf("%s %s: %s, %s JID, uri %v: %d, want %d",
					row.ID, c.name, row.Condition, row.JIDForm, row.HasURI, got, row.Code)
			}
		}
	}
}

// ERR-01, ERR-07: the same through the constructor, and the address through the rules.
func TestFailureFromStanzaVectors(t *testing.T) {
	r := testRules(t)
	for _, row := range loadErrors(t).ToSIP {
		alternate := ""
		if row.HasURI {
			alternate = "xmpp:nurse@example.com"
		}
		f := FailureFromStanza(row.Condition, "", "", alternate)
		if f.Status >= 300 && f.Status < 400 {
			t.Errorf("%s: %d before the rules had a look at the address", row.ID, f.Status)
		}
		f = r.FailureToSIP(f, "example.net")
		if f.Status != row.Code || f.Condition != row.Condition || f.Type != row.Condition.DefaultType() {
			t.Errorf("%s: %d %s %s, want %d", row.ID, f.Status, f.Condition, f.Type, row.Code)
		}
		if want := map[bool]string{true: "sip:nurse@example.com"}[row.HasURI]; f.Alternate != want {
			t.Errorf("%s: Contact %q, want %q", row.ID, f.Alternate, want)
		}
		if f.RetryAfter != 0 {
			t.Errorf("%s: Retry-After in the answer to a bounce (SIP-30)", row.ID)
		}
	}
}

// ERR-04, ERR-09, ERR-10: for no condition at all.
func TestTableNeverAnswers(t *testing.T) {
	conds := []Condition{"", "no-such-condition", "BAD-REQUEST"}
	for c := range defaultTypes {
		conds = append(conds, c)
	}
	for _, table := range []*Table{Default, Strict} {
		for _, c := range conds {
			for _, bare := range []bool{false, true} {
				for _, uri := range []bool{false, true} {
					s := table.Status(c, bare, uri)
					if s < 300 || s > 699 || slices.Contains([]int{401, 407, 408, 503}, s) {
						t.Errorf("%q, bare %v, uri %v: %d", c, bare, uri, s)
					}
				}
			}
		}
	}
	if got := Default.Status("no-such-condition", false, false); got != 400 {
		t.Errorf("unknown condition: %d, want 400", got)
	}
	for _, row := range defaultToSIP {
		if row.bare != row.full {
			t.Errorf("%s: the table in use has one column (ERR-05)", row.cond)
		}
	}
}

// ERR-02, ERR-03, ERR-06, ERR-13: every listed code, in both tables.
func TestTableCondition(t *testing.T) {
	for _, row := range loadErrors(t).ToXMPP {
		if c, typ := Default.Condition(row.Code); c != row.Condition || typ != row.Type {
			t.Errorf("%s Default: %d: %s %s, want %s %s", row.ID, row.Code, c, typ, row.Condition, row.Type)
		}
		strict := row.RFC7247
		if strict == "" {
			strict = row.ClassDefault
		}
		if c, typ := Strict.Condition(row.Code); c != strict || typ != strict.DefaultType() {
			t.Errorf("%s Strict: %d: %s %s, want %s", row.ID, row.Code, c, typ, strict)
		}
		var contacts []string
		if row.Code < 400 {
			contacts = []string{"<sip:romeo@example.org>"}
		}
		f := FailureFromStatus(row.Code, "", 0, contacts)
		if f.Condition != row.Condition || f.Type != row.Type {
			t.Errorf("%s: %d: failure %s %s, want %s %s", row.ID, row.Code, f.Condition, f.Type, row.Condition, row.Type)
		}
		if f := FailureFromStatus(row.Code, "", time.Minute, contacts); f.Type != TypeWait || f.RetryAfter != time.Minute {
			t.Errorf("%s: %d with Retry-After: %s, %v, want wait (ERR-06)", row.ID, row.Code, f.Type, f.RetryAfter)
		}
	}
}

// ERR-03, ERR-13: any code of a class that is not listed is the x00 of the class.
func TestTableClassDefaults(t *testing.T) {
	defaults := loadErrors(t).ClassDefaults
	for status := 300; status <= 699; status++ {
		c, typ := Default.Condition(status)
		if !c.Known() || typ != c.DefaultType() {
			t.Errorf("%d: %q %q", status, c, typ)
		}
		if _, ok := Default.toXMPP[status]; ok {
			continue
		}
		if want := defaults[string(rune('0'+status/100))+"xx"]; c != want {
			t.Errorf("%d: %s, want %s", status, c, want)
		}
	}
	for _, status := range []int{-1, 0, 100, 200, 299, 700, 99999} {
		if c, typ := Default.Condition(status); c != CondUndefinedCondition || typ != TypeCancel {
			t.Errorf("%d: %s %s", status, c, typ)
		}
	}
}

// ERR-06: the types are those of RFC 6120.
func TestConditionDefaultType(t *testing.T) {
	types := loadErrors(t).DefaultTypes
	for c, want := range types {
		if !c.Known() || c.DefaultType() != want {
			t.Errorf("%s: known %v, type %s, want %s", c, c.Known(), c.DefaultType(), want)
		}
	}
	for c := range defaultTypes {
		if _, ok := types[c]; !ok && c != CondPaymentRequired {
			t.Errorf("%s is not a condition of RFC 6120", c)
		}
		if _, ok := Default.toSIP[c]; !ok {
			t.Errorf("%s has no status", c)
		}
	}
	if Condition("x").Known() || ErrorType("x").Known() || ErrorType("").Known() {
		t.Error("nonsense is known")
	}
}

func TestReasonPhrase(t *testing.T) {
	for status, want := range map[int]string{
		200: "OK", 202: "Accepted", 404: "Not Found", 480: "Temporarily Unavailable", 499: "Bad Request",
		503: "Service Unavailable", 504: "Server Time-out", 699: "Busy Everywhere", 299: "OK", 100: "", 700: "", 0: "",
	} {
		if got := ReasonPhrase(status); got != want {
			t.Errorf("%d: %q, want %q", status, got, want)
		}
	}
	for status, p := range phrases {
		if ReasonText(p) != p {
			t.Errorf("%d %q is not a Reason-Phrase", status, p)
		}
	}
	for _, row := range append(rfc7247ToXMPP, gapsToXMPP...) {
		if phrases[row.status] == "" {
			t.Errorf("%d has no phrase", row.status)
		}
	}
}
