package sipside

import (
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/mapping"
)

// companions are the headers without which an answer may not be (RFC 3261 §21, ERR-07).
var companions = map[int]string{
	300: "Contact", 301: "Contact", 302: "Contact", 305: "Contact", 380: "Contact",
	401: "WWW-Authenticate", 405: "Allow", 407: "Proxy-Authenticate", 415: "Accept", 420: "Unsupported", 421: "Require", 423: "Min-Expires", 489: "Allow-Events",
}

// conditions are those of RFC 6120 §8.3.3, and the one that it no longer has.
var conditions = []mapping.Condition{
	mapping.CondBadRequest, mapping.CondConflict, mapping.CondFeatureNotImplemented, mapping.CondForbidden,
	mapping.CondGone, mapping.CondInternalServerError, mapping.CondItemNotFound, mapping.CondJIDMalformed,
	mapping.CondNotAcceptable, mapping.CondNotAllowed, mapping.CondNotAuthorized, mapping.CondPolicyViolation,
	mapping.CondRecipientUnavailable, mapping.CondRedirect, mapping.CondRegistrationRequired, mapping.CondRemoteServerNotFound,
	mapping.CondRemoteServerTimeout, mapping.CondResourceConstraint, mapping.CondServiceUnavailable, mapping.CondSubscriptionRequired,
	mapping.CondUndefinedCondition, mapping.CondUnexpectedRequest, mapping.CondPaymentRequired,
}

// built is the response that r becomes.
func built(t *testing.T, r reply) *siptest.Message {
	t.Helper()
	e := echo{path: path{out: &udpSocket{sentBy: "gw.example.com:5070"}}, via: topVia{row: "SIP/2.0/UDP a;branch=z9hG4bKx"}, cseq: "1 MESSAGE"}
	raw := e.response(r)
	m, n, err := siptest.Parse(raw)
	if err != nil || n != len(raw) {
		t.Fatalf("%v in\n%s", err, raw)
	}
	return m
}

// ERR-07, ERR-09, ERR-10: whatever the status of a failure is, the answer has its mandatory
// header; 401, 407 and 408 are never sent.
func TestCompanions(t *testing.T) {
	check := func(what string, want int, r reply) {
		t.Helper()
		m := built(t, r)
		status := m.Status()
		if status < 300 || status > 699 || status == 401 || status == 407 || status == 408 || want != 0 && status != want {
			t.Errorf("%s: %s, want %d", what, m.First, want)
		}
		if h := companions[status]; h != "" && m.Get(h) == "" || status/100 == 3 && m.Get("Contact") == "" {
			t.Errorf("%s: %s without %s", what, m.First, h)
		}
		if m.Get("Contact") != "" && status/100 != 3 || m.Get("Retry-After") != "" && status != 503 {
			t.Errorf("%s: %v", what, m.Fields)
		}
	}
	moved := map[int]int{301: 410, 401: 403, 407: 403, 408: 504, 420: 400, 421: 400, 423: 400, 489: 400}
	for status := -1; status < 1000; status++ {
		want := status
		switch {
		case moved[status] != 0:
			want = moved[status]
		case status < 300 || status > 699:
			want = 500
		case status < 400:
			want = 480
		}
		f := mapping.Failure{Status: status, Reason: "What", RetryAfter: time.Second}
		check("bare", want, refusal(&f))
		check("bounced", want, replyTo(mapping.Outcome{Kind: mapping.Bounced, Failure: &f}.Final(200)))
		check("evil", want, refusal(&mapping.Failure{Status: status, Alternate: "sip:a@b>,<sip:c@d", Accept: "a\r\nb", AcceptEncoding: "\x00", Warning: "399 \"\r\n\""}))
		if f.Alternate = "sip:a@b"; status/100 == 3 {
			want = status
		}
		check("with an address", want, refusal(&f))
		check("repeated", 0, refusal(mapping.FailRepeated(status)))
	}
	for _, cond := range conditions {
		check(string(cond), 0, refusal(mapping.FailureFromStanza(cond, "", "", "xmpp:nurse@example.com")))
	}
	check("extension", 420, refusal(mapping.FailExtension(), "Unsupported: x\r\n"))
	if m := built(t, refusal(mapping.FailExtension())); m.First != "SIP/2.0 400 Bad Request" {
		t.Errorf("an extension that is not named: %s", m.First)
	}
}

// CT-08, M-038: a 415 says what would be understood, of that which was not.
func TestUnsupported(t *testing.T) {
	for _, tt := range []struct {
		f              *mapping.Failure
		accept, encode string
	}{
		{mapping.FailUnsupportedType(), mapping.AcceptTypes, ""},
		{mapping.FailUnsupportedEncoding(), "", mapping.AcceptEncodings},
		{&mapping.Failure{Status: 415}, mapping.AcceptTypes, mapping.AcceptEncodings},
		{&mapping.Failure{Status: 415, Accept: "text/x", AcceptEncoding: "y"}, "text/x", "y"},
		{&mapping.Failure{Status: 488, Accept: "text/x", AcceptEncoding: "y"}, "", ""},
	} {
		m := built(t, refusal(tt.f))
		if m.Get("Accept") != tt.accept || m.Get("Accept-Encoding") != tt.encode {
			t.Errorf("%+v: %v", tt.f, m.Fields)
		}
	}
	m := built(t, reply{status: 200, extra: optionsHeaders})
	if m.Get("Accept") != mapping.AcceptTypes+", application/pidf+xml" || m.Get("Accept-Encoding") != mapping.AcceptEncodings {
		t.Errorf("OPTIONS: %v", m.Fields)
	}
}

// SEC-02, M-024: who warns is the host that the peer knows us by (RFC 3261 §20.43).
func TestWarningAgent(t *testing.T) {
	for sentBy, want := range map[string]string{
		"gw.example.com": "gw.example.com", "gw.example.com:5070": "gw.example.com", "192.0.2.1:5061": "192.0.2.1",
		"[2001:db8::1]": "[2001:db8::1]", "[2001:db8::1]:5061": "[2001:db8::1]",
	} {
		if got := warnAgent(sentBy); got != want {
			t.Errorf("%s: %q, want %q", sentBy, got, want)
		}
	}
	for _, network := range []string{"udp", "tcp"} {
		for advertise, want := range map[string]string{"": "127.0.0.1", "gw.example.com": "gw.example.com", "[2001:db8::7]:5080": "[2001:db8::7]"} {
			cfg := testConfig()
			cfg.Advertise = advertise
			u := start(t, cfg, newBridge(processed))
			p := siptest.Listen(t, network)
			res := p.Request(addr(u, network), message(network, "MESSAGE sips:juliet@example.com SIP/2.0"))
			if got := res.All("Warning"); len(got) != 1 || got[0] != `380 `+want+` "SIPS Not Allowed"` {
				t.Errorf("%s, %q: Warning %q", network, advertise, got)
			}
		}
	}
}

// SIP-13: an answer with more than a status is the same again, its Warning too.
func TestWarningRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, m := memUA(t, testConfig(), newBridge(func(*mapping.SIPMessage) mapping.Outcome {
			return mapping.Outcome{Kind: mapping.Refused, Failure: &mapping.Failure{Status: 480, Warning: `399 "Not now"`}}
		}))
		m.in <- fromMem("z9hG4bKa")
		m.in <- fromMem("z9hG4bKa")
		synctest.Wait()
		sent := m.all()
		if len(sent) != 2 || string(sent[0].data) != string(sent[1].data) || !strings.Contains(string(sent[1].data), "\r\nWarning: 399 192.0.2.1 \"Not now\"\r\n") {
			t.Fatalf("%d: %v", len(sent), sent)
		}
		if sent[1].to != netip.AddrPortFrom(memPeer.Addr(), 5060) {
			t.Errorf("sent to %v", sent[1].to)
		}
	})
}
