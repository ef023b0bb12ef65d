package mapping

import (
	"cmp"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const document = "../docs/mapping.md"

// The tables of errors in docs/mapping.md are made from those in use.
func TestDocument(t *testing.T) {
	b, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	for name, table := range map[string]string{
		"to-sip": tableToSIP(t), "to-xmpp": tableToXMPP(t), "gaps": tableOfGaps(t), "addresses": tableOfReasons(), "own": tableOfOwn(t), "numbers": tableOfNumbers(t),
		"activities": tableOfActivities(), "shows": tableOfShows(), "priorities": tableOfPriorities(), "presence-limits": tableOfPresenceLimits(),
		"accept": "`" + AcceptTypes + "`; encodings: `" + AcceptEncodings + "`.\n",
	} {
		open := "<!-- made: " + name + " -->\n"
		before, rest, ok := strings.Cut(text, open)
		_, after, shut := strings.Cut(rest, "<!-- end -->")
		if !ok || !shut {
			t.Fatalf("%s has no place for %q", document, name)
		}
		text = before + open + "\n" + table + "\n<!-- end -->" + after
	}
	switch {
	case text == string(b):
	case *updateGolden:
		if err := os.WriteFile(document, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s is not what the tables say: go test ./mapping -run TestDocument -update", document)
	}
}

type documentTable struct{ strings.Builder }

func newTableOf(columns ...string) *documentTable {
	d := &documentTable{}
	d.row(columns...)
	d.WriteString(strings.Repeat("|---", len(columns)) + "|\n")
	return d
}

func (d *documentTable) row(cells ...string) {
	d.WriteString("| " + strings.Join(cells, " | ") + " |\n")
}

func code(v any) string { return fmt.Sprintf("`%v`", v) }

// whyNotRFC says why stox does not do what RFC 7247 Table 2 says for a JID of this form.
var whyNotRFC = map[Condition]string{
	CondFeatureNotImplemented: "501 would say that stox does not know MESSAGE at all",
	CondForbidden:             "a 6xx says that the message was delivered and refused (RFC 3428 §7), and ends every fork of the request",
	CondItemNotFound:          "as for `forbidden`",
	CondNotAcceptable:         "as for `forbidden`",
	CondNotAuthorized:         "a 401 must carry a challenge (RFC 3261 §22.2), and a gateway has none",
	CondRecipientUnavailable:  "as for `forbidden`",
	CondRedirect:              "a 302 without Contact is of no use; with an address that SIP can have it is a 302",
	CondRegistrationRequired:  "a 407 must carry a challenge (RFC 3261 §22.3)",
	CondRemoteServerNotFound:  "408 is forbidden for a MESSAGE (RFC 4320 §4.2)",
	CondRemoteServerTimeout:   "408 is forbidden for a MESSAGE (RFC 4320 §4.2)",
	CondServiceUnavailable:    "servers say it of users who are unknown and of users who are not there: 480 fits both",
	CondUnexpectedRequest:     "491 is for INVITE",
	CondPaymentRequired:       "not in RFC 6120 any more, so not in RFC 7247; the reverse of its note on 402",
}

func tableToSIP(t *testing.T) string {
	b, err := os.ReadFile("testdata/errors.json")
	if err != nil {
		t.Fatal(err)
	}
	var v struct {
		ToSIP []struct {
			Condition Condition
			RFC7247   []any `json:"rfc7247"` // statuses, or a note
		} `json:"xmpp_to_sip"`
	}
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	rfc := map[Condition][]any{}
	for _, row := range v.ToSIP {
		rfc[row.Condition] = row.RFC7247
	}
	d := newTableOf("condition", "RFC 7247", "stox", "`mapping.Strict`: bare, full", "why")
	for _, c := range slices.Sorted(maps.Keys(defaultTypes)) {
		ours := fmt.Sprint(Default.Status(c, false, false))
		if with := Default.Status(c, false, true); fmt.Sprint(with) != ours {
			ours += fmt.Sprintf(", with a new address %d", with)
		}
		if Default.Status(c, true, false) != Default.Status(c, false, false) {
			t.Errorf("%s: the table in use has two columns", c)
		}
		why := whyNotRFC[c]
		differs := len(rfc[c]) != 1 || fmt.Sprint(rfc[c][0]) != fmt.Sprint(Default.Status(c, false, false))
		if differs && why == "" {
			t.Errorf("%s: nobody says why it is not as in RFC 7247", c)
		}
		if !differs && why != "" {
			t.Errorf("%s: it is as in RFC 7247", c)
		}
		strict := fmt.Sprintf("%d, %d", Strict.Status(c, true, false), Strict.Status(c, false, false))
		if strict == fmt.Sprintf("%d, %d", Default.Status(c, true, false), Default.Status(c, false, false)) {
			strict = ""
		}
		d.row(code(c), codes(rfc[c]), ours, strict, why)
	}
	return d.String()
}

func codes(list []any) string {
	if len(list) == 0 {
		return "—"
	}
	var s []string
	for _, n := range list {
		s = append(s, strings.TrimPrefix(fmt.Sprint(n), "note 5: "))
	}
	return strings.Join(s, " or ")
}

// rfcNotes are about rows of RFC 7247 Table 3.
var rfcNotes = map[int]string{
	300: "the Contact with the highest `q` in `<redirect/>`; without a usable one `recipient-unavailable`, type `wait`",
	301: "the new address in `<gone/>`, which is empty without one",
	302: "as 300",
	305: "as 300",
	401: "after the login of the route (`sip.route.username`) was refused, or without one",
	402: "`payment-required` is not in RFC 6120 any more",
	407: "as 401",
	408: "after the same request was repeated in vain; also if no answer comes at all",
	410: "`<gone/>` is empty",
	415: "a text in message/cpim is sent once more as text/plain first",
	430: "tried again first",
	482: "to a repeat it says that the message had arrived: no error then",
	500: "the next server of the domain is tried first",
	503: "tried again first, until `queue.expire`",
	504: "as 500",
	603: "the default type of RFC 6120; a decline is final all the same",
}

func tableToXMPP(t *testing.T) string {
	d := newTableOf("status", "condition", "type", "note")
	for _, row := range rfc7247ToXMPP {
		c, typ := Default.Condition(row.status)
		if s, _ := Strict.Condition(row.status); s != c || c != row.cond {
			t.Errorf("%d: the two tables differ", row.status)
		}
		name := fmt.Sprintf("%d %s", row.status, ReasonPhrase(row.status))
		d.row(name, code(c), string(typ), rfcNotes[row.status])
	}
	for class := 3; class <= 6; class++ {
		c, typ := Default.Condition(class*100 + 99)
		d.row(fmt.Sprintf("any other %dxx", class), code(c), string(typ), fmt.Sprintf("read as %d00 (RFC 3261 §8.1.3.2)", class))
	}
	return d.String()
}

func tableOfGaps(t *testing.T) string {
	why := map[Condition]string{
		CondNotAuthorized:         "it is about who asks, and not about what is asked",
		CondSubscriptionRequired:  "the other side must consent first",
		CondFeatureNotImplemented: "there is nothing wrong with the server",
		CondNotAcceptable:         "something in the request cannot be had",
		CondForbidden:             "the other side does not want it: do not try again",
		CondPolicyViolation:       "an intermediary does not want it: do not try again",
	}
	d := newTableOf("status", "RFC 7247: default of the class", "stox", "type", "why")
	for _, row := range gapsToXMPP {
		c, typ := Default.Condition(row.status)
		s, _ := Strict.Condition(row.status)
		if c == s || why[c] == "" {
			t.Errorf("%d: %s, strictly %s, and why is %q", row.status, c, s, why[c])
		}
		d.row(fmt.Sprintf("%d %s", row.status, ReasonPhrase(row.status)), code(s), code(c), string(typ), why[c])
	}
	return d.String()
}

func tableOfNumbers(t *testing.T) string {
	numbers := []string{"+12125550123", "+442079460123", "+4930901820"}
	d := newTableOf(append([]string{"`numbers`", "`country`"}, numbers...)...)
	for _, rule := range []RouteRule{{Numbers: "e164"}, {Numbers: "nanp10"}, {Numbers: "national", Country: "US"}, {Numbers: "national", Country: "GB"}, {Numbers: "national", Country: "DE"}} {
		rule.Domain = "pstn.example.net"
		r, err := NewRules(RulesConfig{GatewayDomain: "sip.example.com", PhoneDomain: rule.Domain, Routes: []RouteRule{rule}})
		if err != nil {
			t.Fatal(err)
		}
		cells := []string{code(rule.Numbers), "not needed"}
		if rule.Country != "" {
			cells[1] = code(rule.Country)
		}
		for _, number := range numbers {
			u, err := r.SIPAddress(MustParseJID(number + "@sip.example.com"))
			if err != nil {
				t.Fatal(err)
			}
			cells = append(cells, code(u.User))
		}
		d.row(cells...)
	}
	return d.String()
}

var reasonTexts = map[Reason]string{
	ReasonSyntax:        "it is no URI",
	ReasonBadUTF8:       "it is not UTF-8 after percent-decoding",
	ReasonUnmappable:    "a good address there that cannot be written here",
	ReasonNotServed:     "it is in no domain that the gateway serves",
	ReasonSIPS:          "a sips: address: there is no way to keep its promise beyond the gateway (RFC 7247 §8). `Warning: 380`",
	ReasonScheme:        "a URI of another kind, such as `http:`",
	ReasonTooLong:       "a part of the JID would have more than 1023 octets",
	ReasonJIDMalformed:  "it is no JID, or none of the gateway's forms",
	ReasonItemNotFound:  "it stands for nothing, or another address is the one that would answer (the text names it)",
	ReasonBadDomain:     "what follows `\\40` is no domain",
	ReasonGatewayItself: "the gateway's own address",
	ReasonForbidden:     "from SIP under the address of an XMPP user",
}

func tableOfReasons() string {
	d := newTableOf("reason", "what it means", "SIP is told", "XMPP is told")
	order := func(a, b Reason) int {
		return cmp.Or(cmp.Compare(answerTo[a].status, answerTo[b].status), cmp.Compare(a, b))
	}
	for _, r := range slices.SortedFunc(maps.Keys(answerTo), order) {
		a := answerTo[r]
		d.row(code(r), reasonTexts[r], fmt.Sprint(a.status), code(a.condition)+", "+string(a.typ))
	}
	return d.String()
}

// ownFailures are what stox itself refuses or has to report, and who is told.
var ownFailures = []struct {
	name, when string
	sip, xmpp  bool
	f          *Failure
}{
	{"FailTimeout", "no final answer from SIP in time, or the connection broke after writing", false, true, FailTimeout()},
	{"FailUnreachable", "no SIP server for the address takes a connection", false, true, FailUnreachable()},
	{"FailNeedsTCP", "too long for UDP, and no TCP connection is taken", false, true, FailNeedsTCP(1300)},
	{"FailWrongName", "the SIP server shows a certificate for another domain", false, true, FailWrongName()},
	{"FailInsecure", "no secure connection to the SIP server of the address", false, true, FailInsecure()},
	{"FailDNS", "the SIP domain does not exist", false, true, FailDNS()},
	{"FailTransport", "the SIP servers of the domain take no transport that stox has", false, true, FailTransport()},
	{"FailTooLarge", "too long for the other side", true, true, FailTooLarge(1300)},
	{"FailBusy", "a queue is full, or a rate exceeded", true, true, FailBusy(5)},
	{"FailTooFast", "more messages than one user may send (`limits.user_rate`)", false, true, FailTooFast(1)},
	{"FailOverloaded", "the whole process is overloaded (`Retry-After`)", true, true, FailOverloaded(5 * time.Second)},
	{"FailNoLink", "no link to the XMPP server of the address", true, false, FailNoLink()},
	{"FailNoLinks", "no link at all (`Retry-After`)", true, false, FailNoLinks(5 * time.Second)},
	{"FailLinkLost", "the link broke after writing", true, false, FailLinkLost()},
	{"FailExpired", "waited too long behind others for the same address", false, true, FailExpired()},
	{"FailNotified", "accepted with 2xx, and a notification says later that it was not delivered", false, true, FailNotified()},
	{"FailUnfinished", "`queue.expire` was over when only some of the parts of a text had arrived", false, true, FailUnfinished()},
	{"FailStore", "the journal cannot be written", false, true, FailStore()},
	{"FailDropped", "the operator has dropped it from the queue", false, true, FailDropped()},
	{"FailShutdown", "stox is stopping", true, true, FailShutdown()},
	{"FailForbidden", "the access rules say no", true, true, FailForbidden()},
	{"FailNotServed", "in no domain that is served", true, true, FailNotServed()},
	{"FailLoop", "it has been here before", true, true, FailLoop()},
	{"FailTooManyHops", "Max-Forwards is used up", true, false, FailTooManyHops()},
	{"FailExtension", "`Require` names an extension (`Unsupported`)", true, false, FailExtension()},
	{"FailMethod", "a method that is not supported (`Allow`)", true, false, FailMethod()},
	{"FailUnknownMethod", "a method that is not known", true, false, FailUnknownMethod()},
	{"FailVersion", "not SIP/2.0", true, false, FailVersion()},
	{"FailNoDialog", "within a dialog: there are none", true, false, FailNoDialog()},
	{"FailNoSubscription", "of a subscription that is not there", true, false, FailNoSubscription()},
	{"FailEvent", "an event package other than presence (`Allow-Events`)", true, false, FailEvent()},
	{"FailNoForm", "`Accept` has no form of presence that stox knows", true, false, FailNoForm()},
	{"FailTooBrief", "a subscription or publication for too short a time (`Min-Expires`)", true, false, FailTooBrief()},
	{"FailCondition", "a publication that is not there any more", true, false, FailCondition()},
	{"FailBadRequest", "a header or the body breaks its grammar", true, false, FailBadRequest("")},
	{"FailBadText", "the text is not in the charset that it claims", true, false, FailBadText()},
	{"FailUnsupportedType", "a media type or charset that is not understood (`Accept`)", true, false, FailUnsupportedType()},
	{"FailUnsupportedEncoding", "a Content-Encoding that is not understood (`Accept-Encoding`)", true, false, FailUnsupportedEncoding()},
	{"FailUndecipherable", "encrypted, or signed in a way that hides it", true, false, FailUndecipherable()},
	{"FailLate", "expired on arrival, with `sip.expired = \"refuse\"`", true, false, FailLate()},
	{"FailEncrypted", "an end-to-end encrypted stanza", false, true, FailEncrypted()},
	{"FailLink", "a stanza with nothing but links of no use in SIP", false, true, FailLink()},
	{"FailGroupchat", "a stanza of type `groupchat`", false, true, FailGroupchat()},
	{"FailGateway", "a text to the gateway itself that is not \"help\", within an hour of the last answer", false, true, FailGateway()},
	{"FailInternal", "a fault of stox", true, true, FailInternal(nil)},
	{"FailRepeated", "the repeat of a request that was refused, of which only the status is remembered", true, false, nil},
}

func tableOfOwn(t *testing.T) string {
	parsed, err := parser.ParseFile(token.NewFileSet(), "local.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	missing := map[string]bool{}
	for _, decl := range parsed.Decls {
		if f, ok := decl.(*ast.FuncDecl); ok && strings.HasPrefix(f.Name.Name, "Fail") {
			missing[f.Name.Name] = true
		}
	}
	d := newTableOf("what happened", "SIP is told", "XMPP is told")
	for _, row := range ownFailures {
		if !missing[row.name] {
			t.Errorf("there is no %s", row.name)
		}
		delete(missing, row.name)
		sip, xmpp := "", ""
		if row.f == nil {
			sip = "the same status"
		} else if row.sip {
			sip = fmt.Sprint(row.f.Status)
		}
		if row.xmpp {
			xmpp = code(row.f.Condition) + ", " + string(row.f.Type) + ": " + row.f.Text
		}
		d.row(row.when, sip, xmpp)
	}
	if len(missing) > 0 {
		t.Errorf("docs/mapping.md does not tell of %v", slices.Sorted(maps.Keys(missing)))
	}
	return d.String()
}

// Links to the wire pairs lead to pages that are there.
func TestDocumentNamesPairs(t *testing.T) {
	b, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	named := 0
	for word := range strings.FieldsFuncSeq(string(b), func(r rune) bool { return strings.ContainsRune(" `()[]\n,", r) }) {
		if strings.HasSuffix(word, ".txtar") {
			named++
			if _, err := os.Stat(filepath.Join("testdata", filepath.Base(word))); err != nil {
				t.Error(err)
			}
		}
	}
	if named == 0 {
		t.Error("no pair is named")
	}
}
