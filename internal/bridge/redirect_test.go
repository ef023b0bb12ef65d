package bridge

import (
	"testing"

	"github.com/stoxgw/stox/mapping"
)

// M-049, ERR-01, ERR-07: a new address in a bounce is told to SIP in SIP's terms,
// where the rules know it there.
func TestRedirectToSIP(t *testing.T) {
	for _, c := range []struct {
		name      string
		condition mapping.Condition
		alternate string
		status    int
		contact   string
	}{
		{"gone to another user", mapping.CondGone, `xmpp:o%5C27hara@example.com`, 301, "sip:o'hara@example.com"},
		{"gone to a contact of ours", mapping.CondGone, `xmpp:mercutio%5C40example.org@sip.example.com`, 301, "sip:mercutio@example.org"},
		{"gone to nowhere", mapping.CondGone, "", 410, ""},
		{"gone to no address", mapping.CondGone, "xmpp:@example.com", 410, ""},
		{"gone to what is no IRI", mapping.CondGone, "sip:eve@evil.example", 410, ""},
		{"redirect", mapping.CondRedirect, "xmpp:nurse@example.com", 302, "sip:nurse@example.com"},
		{"redirect to nowhere", mapping.CondRedirect, "", 480, ""},
		{"redirect to the gateway itself", mapping.CondRedirect, "xmpp:sip.example.com", 480, ""},
		{"an address where none belongs", mapping.CondItemNotFound, "xmpp:nurse@example.com", 404, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, s := newBridge(t)
			b.FromSIP([]mapping.Parcel[mapping.SIP]{{Ref: "tx", Value: fromSIP("c1", "sip:romeo@pbx.example.net", "sip:juliet@example.com", "hi")}})
			bounce := mapping.FailureFromStanza(c.condition, "", "", c.alternate)
			before := *bounce
			b.XMPPOutcomes([]mapping.Result{{Ref: s.stanzas[0].Ref, Outcome: mapping.Outcome{Kind: mapping.Bounced, Failure: bounce}}})
			if len(s.answers) != 1 {
				t.Fatalf("%d answers, want 1", len(s.answers))
			}
			status, f := s.answers[0].Outcome.Final(200)
			if status != c.status || f.Alternate != c.contact {
				t.Errorf("answered %d Contact %q, want %d %q", status, f.Alternate, c.status, c.contact)
			}
			if *bounce != before {
				t.Error("the failure of the XMPP side was changed")
			}
		})
	}
}

// M-050, ERR-11, ERR-12: a new address in a 3xx is told to XMPP as the address
// that the user can write to.
func TestRedirectToXMPP(t *testing.T) {
	for _, c := range []struct {
		name      string
		status    int
		contacts  []string
		condition mapping.Condition
		typ       mapping.ErrorType
		alternate string
	}{
		{"301", 301, []string{"<sip:romeo@example.org>"}, mapping.CondGone, mapping.TypeCancel, `xmpp:romeo%5C40example.org@sip.example.com`},
		{"301 within the default domain", 301, []string{"<sip:new@pbx.example.net>"}, mapping.CondGone, mapping.TypeCancel, "xmpp:new@sip.example.com"},
		{"301 to an XMPP user", 301, []string{"<sip:nurse@example.com>"}, mapping.CondGone, mapping.TypeCancel, "xmpp:nurse@example.com"},
		{"301 without a Contact", 301, nil, mapping.CondGone, mapping.TypeCancel, ""},
		{"302", 302, []string{"<sip:a@example.org>;q=0.1", "<sip:b@example.org>;q=0.9"}, mapping.CondRedirect, mapping.TypeModify, `xmpp:b%5C40example.org@sip.example.com`},
		{"302 without a Contact", 302, nil, mapping.CondRecipientUnavailable, mapping.TypeWait, ""},
		{"410", 410, []string{"<sip:new@example.org>"}, mapping.CondGone, mapping.TypeCancel, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, s := newBridge(t)
			b.FromXMPP([]mapping.XMPP{fromXMPP("m50", "juliet@example.com/x", "romeo@sip.example.com", "hi")})
			b.SIPOutcomes([]mapping.Result{{Ref: s.requests[0].Ref, Outcome: mapping.Outcome{Kind: mapping.Answered, Status: c.status,
				Failure: mapping.FailureFromStatus(c.status, "", 0, c.contacts)}}})
			if len(s.requests) != 1 || len(s.stanzas) != 1 {
				t.Fatalf("%d requests, %d stanzas; want 1 and 1: a redirect is told and not followed", len(s.requests), len(s.stanzas))
			}
			e := s.stanzas[0].Value.(*mapping.XMPPError)
			if e.ID != "m50" || e.From.String() != "romeo@sip.example.com" || e.To.String() != "juliet@example.com/x" {
				t.Errorf("error stanza id=%s from=%s to=%s", e.ID, e.From, e.To)
			}
			if f := e.Failure; f.Condition != c.condition || f.Type != c.typ || f.Alternate != c.alternate {
				t.Errorf("%s %s %q, want %s %s %q", f.Condition, f.Type, f.Alternate, c.condition, c.typ, c.alternate)
			}
		})
	}
}
