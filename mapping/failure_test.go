package mapping

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// ERR-14 and EL-001..EL-028: the values for every local event, as the side that waits
// is told them.
func TestLocalEvents(t *testing.T) {
	final := func(o Outcome) func() (int, *Failure) {
		return func() (int, *Failure) { return o.Final(200) }
	}
	fail := func(f *Failure) func() (int, *Failure) {
		return func() (int, *Failure) { return f.Status, f }
	}
	ping := func(c Condition) func() (int, *Failure) {
		return final(Outcome{Kind: Bounced, Failure: FailureFromStanza(c, "", "", "")})
	}
	events := map[string]func() (int, *Failure){
		"EL-001": fail(Outcome{Kind: Unknown}.Report()),
		"EL-002": fail(Outcome{Kind: NotWritten}.Report()),
		"EL-003": fail(FailDNS()),
		"EL-005": fail(FailTooLarge(1300)),
		"EL-006": fail(FailBusy(7)),
		"EL-007": func() (int, *Failure) {
			_, err := testRules(t).ToSIP(&XMPPMessage{From: MustParseJID("juliet@example.com"),
				To: MustParseJID(`romeo\40@sip.example.com`), Bodies: []Text{{Value: "hi"}}})
			f := asFailure(err)
			return f.Status, f
		},
		"EL-008": final(Outcome{Kind: NotWritten}),
		"EL-009": final(Outcome{Kind: Processed}),
		"EL-010": fail(FailTooManyHops()),
		"EL-011": fail(FailLoop()),
		"EL-012": fail(FailExtension()),
		"EL-013": fail(FailMethod()),
		"EL-015": fail(FailOverloaded(5 * time.Second)),
		"EL-016": final(Outcome{Kind: Unknown}),
		"EL-017": final(Outcome{Kind: Uncertain}),
		"EL-018": final(Outcome{Kind: NotWritten}),
		"EL-019": final(Outcome{Kind: Unknown}),
		"EL-020": ping(CondRemoteServerNotFound),
		"EL-021": ping(CondRemoteServerTimeout),
		"EL-022": ping(CondInternalServerError),
		"EL-023": final(Outcome{Kind: Processed}),
		"EL-024": fail(FailLate()),
		"EL-025": fail(FailTooLarge(0)),
		"EL-026": fail(FailBusy(7)),
		"EL-027": fail(FailBusy(7)),
	}
	// What is not told by a value of this package. test/vectors brings about all that can
	// happen to a gateway, and asks what either side is told in the end.
	elsewhere := map[string]string{
		"EL-004": "TLS is not built",
		"EL-014": "event packages are not built",
		"EL-028": "the bridge says nothing of an answer to a repeat of its own",
	}

	seconds := []string{"EL-006", "EL-027"}
	rows := loadErrors(t).Local
	if len(rows) != len(events)+len(elsewhere) {
		t.Errorf("%d events, of which %d are made here and %d elsewhere", len(rows), len(events), len(elsewhere))
	}
	for _, v := range rows {
		t.Run(v.ID, func(t *testing.T) {
			event, ok := events[v.ID]
			if !ok {
				if elsewhere[v.ID] == "" {
					t.Errorf("%s: nothing makes it", v.Event)
				}
				return
			}
			status, f := event()
			if v.SIPCode != 0 && status != v.SIPCode {
				t.Errorf("SIP is told %d, want %d", status, v.SIPCode)
			}
			if v.Condition != "" && (f.Condition != v.Condition || f.Type != v.Type) {
				t.Errorf("XMPP is told %s %s, want %s %s", f.Condition, f.Type, v.Condition, v.Type)
			}
			wait := time.Duration(0)
			if f != nil {
				wait = f.RetryAfter
			}
			if v.RetryAfter != nil && (wait > 0) != *v.RetryAfter {
				t.Errorf("Retry-After %v, want it: %v (SIP-30)", wait, *v.RetryAfter)
			}
			if slices.Contains(seconds, v.ID) && !strings.Contains(f.Text, "7 s") {
				t.Errorf("%q does not say how long to wait", f.Text)
			}
		})
	}
}

// Each constructor sets both forms; none says what a gateway may not.
func TestLocalFailures(t *testing.T) {
	all := map[string]*Failure{
		"Timeout": FailTimeout(), "Unreachable": FailUnreachable(), "NeedsTCP": FailNeedsTCP(1300), "DNS": FailDNS(), "TooLarge": FailTooLarge(1),
		"Busy": FailBusy(0), "Overloaded": FailOverloaded(0), "NoLink": FailNoLink(), "LinkLost": FailLinkLost(),
		"Shutdown": FailShutdown(), "Forbidden": FailForbidden(), "NotServed": FailNotServed(), "Loop": FailLoop(),
		"TooManyHops": FailTooManyHops(), "Extension": FailExtension(), "Method": FailMethod(),
		"UnknownMethod": FailUnknownMethod(), "Version": FailVersion(), "NoDialog": FailNoDialog(),
		"BadRequest": FailBadRequest(""), "BadText": FailBadText(), "UnsupportedType": FailUnsupportedType(),
		"UnsupportedEncoding": FailUnsupportedEncoding(), "Groupchat": FailGroupchat(), "Internal": FailInternal(nil),
		"NoLinks": FailNoLinks(0), "Repeated": FailRepeated(480), "Repeated 408": FailRepeated(408),
		"Encrypted": FailEncrypted(), "Link": FailLink(),
	}
	for name, f := range all {
		if passable(f.Status) != f.Status || f.Status < 300 || f.Status > 699 || ReasonPhrase(f.Status) == "" {
			t.Errorf("%s: status %d", name, f.Status)
		}
		if !f.Condition.Known() || !f.Type.Known() || f.Condition == CondPaymentRequired {
			t.Errorf("%s: %s %s", name, f.Condition, f.Type)
		}
		if f.Text == "" || sentence(f.Text) != f.Text || !strings.HasSuffix(f.Text, ".") {
			t.Errorf("%s: text %q", name, f.Text)
		}
		if f.Reason != ReasonText(f.Reason) {
			t.Errorf("%s: reason %q", name, f.Reason)
		}
		if (f.RetryAfter > 0) != (name == "Overloaded" || name == "NoLinks") {
			t.Errorf("%s: Retry-After %v (SIP-30)", name, f.RetryAfter)
		}
	}
	for _, d := range []time.Duration{-time.Hour, 0, 1, 5 * time.Second, time.Hour} {
		if got := FailOverloaded(d).RetryAfter; got < time.Second || got > 10*time.Second || got%time.Second != 0 {
			t.Errorf("%v: Retry-After %v", d, got)
		}
		if got, want := FailNoLinks(d).RetryAfter, FailOverloaded(d).RetryAfter; got != want {
			t.Errorf("%v: Retry-After %v without a link, %v when overloaded", d, got, want)
		}
	}
	// ERR-07: 301 and 302 need a Contact, which is not remembered.
	for status, want := range map[int]int{301: 410, 302: 480, 404: 404, 480: 480, 504: 504} {
		if f := FailRepeated(status); f.Status != want || f.Alternate != "" {
			t.Errorf("repeated %d: %d %q, want %d", status, f.Status, f.Alternate, want)
		}
	}
	f := FailBadRequest("CSeq\r\nEvil: <x>")
	if f.Reason != "Bad Request (CSeq Evil: x )" || f.Text != "The request is malformed: CSeq Evil: <x>." {
		t.Errorf("%q %q", f.Reason, f.Text)
	}
	// SIP-07, IM-59: for what the server may take later the sender is not told to
	// shorten it, but what would help.
	if f, g := FailNeedsTCP(1300), FailUnreachable(); !f.Temporary() || f.Status != 513 || f.Condition != g.Condition || !strings.Contains(f.Text, "too long") || !strings.Contains(f.Text, "TCP") || !strings.Contains(f.Remedy, "1300") {
		t.Errorf("%v, %q", f, f.Remedy)
	}
	cause := errors.New("boom")
	if f := FailInternal(cause); !errors.Is(f, cause) || strings.Contains(f.Text, "boom") {
		t.Errorf("%v: %q", f, f.Text)
	}
	if a, b := FailTimeout(), FailTimeout(); a == b {
		t.Error("a value is shared between callers")
	}
}

// ERR-08: the text of a bounce as Reason-Phrase.
func TestFailureFromStanza(t *testing.T) {
	f := FailureFromStanza(CondForbidden, TypeCancel, "Keep\nout <script> \"now\"", "")
	want := &Failure{Status: 403, Condition: CondForbidden, Type: TypeCancel,
		Reason: "Keep out script now", Text: `Keep out <script> "now"`}
	want.Remedy = remedyAnsweredXMPP
	if !reflect.DeepEqual(f, want) {
		t.Errorf("%+v, want %+v", f, want)
	}
	f = FailureFromStanza("made-up", "strange", "", "xmpp:a@example.com")
	want = &Failure{Status: 400, Condition: CondUndefinedCondition, Type: TypeCancel}
	want.Remedy = remedyAnsweredXMPP
	if !reflect.DeepEqual(f, want) {
		t.Errorf("%+v, want %+v", f, want)
	}
	// ERR-04: what servers say of unknown and absent users.
	if f := FailureFromStanza(CondServiceUnavailable, TypeCancel, "", ""); f.Status != 480 || f.Reason != "" {
		t.Errorf("%d %q", f.Status, f.Reason)
	}
}

// ERR-02, ERR-06, ERR-07, ERR-09, ERR-10, ERR-12.
func TestFailureFromStatus(t *testing.T) {
	for _, c := range []struct {
		status   int
		reason   string
		after    time.Duration
		contacts []string
		want     Failure
	}{
		{404, "Not Found", 0, nil, Failure{Status: 404, Reason: "Not Found", Condition: CondItemNotFound, Type: TypeCancel, Text: "404 Not Found"}},
		{486, "", 2 * time.Minute, nil, Failure{Status: 486, Condition: CondRecipientUnavailable, Type: TypeWait, Text: "486 Busy Here", RetryAfter: 2 * time.Minute}},
		{503, "Maintenance", time.Second, nil, Failure{Status: 503, Reason: "Maintenance", Condition: CondInternalServerError, Type: TypeWait, Text: "503 Maintenance", RetryAfter: time.Second}},
		{503, "", -time.Second, nil, Failure{Status: 503, Condition: CondInternalServerError, Type: TypeCancel, Text: "503 Service Unavailable"}},
		{401, "Unauthorized", 0, nil, Failure{Status: 403, Condition: CondNotAuthorized, Type: TypeAuth, Text: "401 Unauthorized"}},
		{407, "", 0, nil, Failure{Status: 403, Condition: CondRegistrationRequired, Type: TypeAuth, Text: "407 Proxy Authentication Required"}},
		{408, "", 0, nil, Failure{Status: 504, Condition: CondRemoteServerTimeout, Type: TypeWait, Text: "408 Request Timeout"}},
		{404, "Gibt's\r\nnicht\x00 <hier>\uFFFF", 0, nil, Failure{Status: 404, Reason: "Gibt's nicht hier \uFFFF", Condition: CondItemNotFound, Type: TypeCancel, Text: "404 Gibt's nicht <hier>"}},
		{301, "Moved", 0, nil, Failure{Status: 301, Reason: "Moved", Condition: CondGone, Type: TypeCancel, Text: "301 Moved"}},
		{302, "", 0, nil, Failure{Status: 302, Condition: CondRecipientUnavailable, Type: TypeWait, Text: "302 Moved Temporarily"}},
		{300, "", 0, []string{"*", "<mailto:a@example.org>", ""}, Failure{Status: 300, Condition: CondRecipientUnavailable, Type: TypeWait, Text: "300 Multiple Choices"}},
		{302, "", 0, []string{`"A <b>" <sip:low@example.org>;q=0.1`, "<sip:high@example.org;x=y?Route=%3Csip:evil%3E>;expires=60;q=0.7", "<sip:same@example.org>;q=0.7"},
			Failure{Status: 302, Condition: CondRedirect, Type: TypeModify, Text: "302 Moved Temporarily", Alternate: "sip:high@example.org"}},
		{301, "", 0, []string{"sip:romeo@example.org;q=0.2"}, Failure{Status: 301, Condition: CondGone, Type: TypeCancel, Text: "301 Moved Permanently", Alternate: "sip:romeo@example.org"}},
		{410, "", 0, []string{"<sip:romeo@example.org>"}, Failure{Status: 410, Condition: CondGone, Type: TypeCancel, Text: "410 Gone"}}, // ERR-12
	} {
		got := FailureFromStatus(c.status, c.reason, c.after, c.contacts)
		if got.Remedy == "" {
			t.Errorf("%d: no remedy for the log", c.status)
		}
		c.want.Remedy = got.Remedy
		if !reflect.DeepEqual(*got, c.want) {
			t.Errorf("%d %q %v %q:\n got %+v\nwant %+v", c.status, c.reason, c.after, c.contacts, *got, c.want)
		}
	}
	for _, status := range []int{0, 100, 200, 202, 700, -404} {
		if f := FailureFromStatus(status, "", 0, nil); f.Status != 500 || f.Err == nil {
			t.Errorf("%d: %v", status, f)
		}
	}
}

// ERR-07, ERR-12, M-049, M-050: new addresses, both ways.
func TestRedirect(t *testing.T) {
	r := testRules(t)
	for _, c := range []struct {
		cond   Condition
		iri    string
		status int
		sip    string
	}{
		{CondGone, "xmpp:o%5C27hara@example.com", 301, "sip:o'hara@example.com"},
		{CondGone, " XMPP:nurse@example.com?message#x\n", 301, "sip:nurse@example.com"},
		{CondGone, "xmpp://guest@example.org/nurse@example.com", 301, "sip:nurse@example.com"},
		{CondRedirect, `xmpp:romeo@example.net`, 302, "sip:romeo@example.net"}, // a contact of ours
		{CondRedirect, `xmpp:bob%5C40example.org@sip.example.com`, 302, "sip:bob@example.org"},
		{CondGone, "", 410, ""},
		{CondRedirect, "", 480, ""},
		{CondGone, "https://example.com/", 410, ""},
		{CondGone, "sip:anybody@premium.example", 410, ""}, // not an address of XMPP: nobody is sent there
		{CondRedirect, "xmpp:%zz@example.com", 480, ""},
		{CondRedirect, "xmpp:%ff@example.com", 480, ""},
		{CondRedirect, "xmpp:a%0d%0ab@example.com", 480, ""},
		{CondGone, "xmpp:", 410, ""},
		{CondForbidden, "xmpp:nurse@example.com", 403, ""},
	} {
		read := FailureFromStanza(c.cond, "", "", c.iri)
		before := *read
		f := r.FailureToSIP(read, "example.net")
		if f.Status != c.status || f.Alternate != c.sip {
			t.Errorf("%s %q: %d %q, want %d %q", c.cond, c.iri, f.Status, f.Alternate, c.status, c.sip)
		}
		if *read != before {
			t.Errorf("%s %q: the failure was changed in place", c.cond, c.iri)
		}
	}
	for contact, want := range map[string]string{
		"<sip:romeo@example.org>":                  `xmpp:romeo%5C40example.org@sip.example.com`,
		"<sip:romeo@example.net>":                  "xmpp:romeo@example.net",
		"<sip:juliet@example.com>":                 "xmpp:juliet@example.com",
		"<sip:%22%7C%22@example.net;gr=a%20b%3Fc>": `xmpp:%5C22%7C%5C22@example.net/a%20b%3Fc`,
	} {
		f := r.FailureToXMPP(FailureFromStatus(301, "", 0, []string{contact}))
		if f.Condition != CondGone || f.Alternate != want {
			t.Errorf("%s: %s %q, want %q", contact, f.Condition, f.Alternate, want)
		}
		if again := r.FailureToXMPP(f); again != f {
			t.Errorf("%s: mapped twice", contact)
		}
	}
	if r.FailureToSIP(nil, "") != nil || r.FailureToXMPP(nil) != nil {
		t.Error("something came of nothing")
	}
}

// RFC 5122: an IRI reads back as the address it was made from.
func TestIRI(t *testing.T) {
	for _, s := range []string{`o\27hara@example.com`, "example.com", "jürgen@bücher.example/♚ /?#%", "a@[2001:db8::9]/x", `%41|{}^[]@example.com/"<>"`} {
		j := MustParseJID(s)
		got, ok := parseIRI(iri(j))
		if !ok || got != j {
			t.Errorf("%s -> %s -> %s, %v", j, iri(j), got, ok)
		}
		if strings.ContainsAny(iri(j), " <>\"\\^`{|}\r\n") {
			t.Errorf("%s is no IRI", iri(j))
		}
	}
}

// IM-20, IM-56, ERR-14: what becomes of an outcome.
func TestOutcomeFinal(t *testing.T) {
	bounce := FailureFromStanza(CondServiceUnavailable, TypeCancel, "", "")
	for _, c := range []struct {
		o      Outcome
		accept int
		want   int
	}{
		{Outcome{Kind: Processed}, 200, 200},
		{Outcome{Kind: Processed}, 202, 202},
		{Outcome{Kind: Processed}, 0, 200},
		{Outcome{Kind: Bounced, Failure: bounce}, 200, 480},
		{Outcome{Kind: Bounced}, 200, 400},
		{Outcome{Kind: Refused, Failure: FailForbidden()}, 200, 403},
		{Outcome{Kind: Refused}, 200, 500},
		{Outcome{Kind: NotWritten}, 200, 503},
		{Outcome{Kind: NotWritten, Failure: FailOverloaded(3 * time.Second)}, 200, 503},
		{Outcome{Kind: Unknown}, 200, 202},
		{Outcome{Kind: Unknown, Failure: FailTimeout()}, 200, 202},
		{Outcome{Kind: Uncertain}, 200, 503},
		{Outcome{Kind: Uncertain, Failure: FailForbidden()}, 200, 503},
		{Outcome{}, 200, 500},
		{Outcome{Kind: Answered, Status: 200}, 200, 500},
		// Nothing that a caller puts together itself gets past the guard.
		{Outcome{Kind: Refused, Failure: &Failure{Status: 408}}, 200, 504},
		{Outcome{Kind: Refused, Failure: &Failure{Status: 401}}, 200, 403},
		{Outcome{Kind: Refused, Failure: &Failure{Status: 200}}, 200, 500},
		{Outcome{Kind: Refused, Failure: &Failure{}}, 200, 500},
	} {
		status, f := c.o.Final(c.accept)
		if status != c.want {
			t.Errorf("%+v: %d, want %d", c.o, status, c.want)
		}
		if (f == nil) != (status/100 == 2) || f != nil && f.Status != status {
			t.Errorf("%+v: %d with failure %v", c.o, status, f)
		}
		if f != nil && f.RetryAfter > 0 && c.o.Failure.RetryAfter == 0 {
			t.Errorf("%+v: Retry-After from nowhere (SIP-30)", c.o)
		}
	}
}

// IM-22, IM-60: what the XMPP sender is told.
func TestOutcomeReport(t *testing.T) {
	busy := FailureFromStatus(486, "", 0, nil)
	for _, c := range []struct {
		o    Outcome
		want Condition // "": nothing
	}{
		{Outcome{Kind: Processed}, ""},
		{Outcome{Kind: Answered, Status: 200}, ""},
		{Outcome{Kind: Answered, Status: 202}, ""},
		{Outcome{Kind: Answered, Status: 486, Failure: busy}, CondRecipientUnavailable},
		{Outcome{Kind: Answered, Status: 404}, CondItemNotFound},
		{Outcome{Kind: NotWritten}, CondRemoteServerTimeout},
		{Outcome{Kind: NotWritten, Failure: FailDNS()}, CondRemoteServerNotFound},
		{Outcome{Kind: Unknown}, CondRemoteServerTimeout},
		{Outcome{Kind: Unknown, Failure: FailDNS()}, CondRemoteServerTimeout},
		{Outcome{Kind: Uncertain}, CondRemoteServerTimeout},
		{Outcome{Kind: Refused, Failure: FailTooLarge(1300)}, CondPolicyViolation},
		{Outcome{Kind: Refused}, CondInternalServerError},
		{Outcome{}, CondInternalServerError},
	} {
		f := c.o.Report()
		if c.want == "" {
			if f != nil {
				t.Errorf("%+v: %v, want nothing", c.o, f)
			}
			continue
		}
		if f == nil || f.Condition != c.want {
			t.Errorf("%+v: %v, want %s", c.o, f, c.want)
			continue
		}
		if unsure := c.o.Kind == Unknown || c.o.Kind == Uncertain; unsure != strings.Contains(f.Text, "may have arrived") {
			t.Errorf("%+v: %q", c.o, f.Text)
		}
	}
	cause := FailDNS()
	if f := (Outcome{Kind: Unknown, Failure: cause}).Report(); !errors.Is(f, cause) {
		t.Error("the cause is lost to the log")
	}
}

// What the log gets: both forms, the sentence and the cause.
func TestFailureError(t *testing.T) {
	f := FailUnreachable()
	f.Err = errors.New("dial tcp: refused")
	want := "503 remote-server-timeout: " + f.Text + ": dial tcp: refused"
	if f.Error() != want || !errors.Is(f, f.Err) || !f.Temporary() {
		t.Errorf("%q, want %q", f.Error(), want)
	}
	if f := (&Failure{Status: 403, Condition: CondForbidden, Type: TypeAuth}); f.Error() != "403 forbidden" || f.Temporary() {
		t.Errorf("%q", f.Error())
	}
}
