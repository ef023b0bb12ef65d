package mapping

import (
	"strings"
	"testing"
)

func TestExplain(t *testing.T) {
	rules := eachRules(t)
	for _, c := range []struct{ config, in, input, result, steps string }{
		{"vectors", "Romeo@sip.example.com/x", "romeo@sip.example.com/x", "sip:romeo@voip.example",
			`the JID: romeo@sip.example.com/x
sip.example.com is the component's: the JID stands for a SIP user
default domain: no \40 in the localpart, so it is a user of sip.domain, voip.example
the resource is left out: a SIP address has one only if it was learned from a GRUU`},
		{"vectors", " <sip:Romeo:s3cret@voip.example?a=s3cret> ", "sip:Romeo@voip.example", "romeo@sip.example.com",
			`the URI, without what does not belong to an address: sip:Romeo@voip.example
case-mapped user part, since XMPP knows no case: romeo
default domain: sip.domain is voip.example, so the short form applies
the address is a SIP user's: a contact in XMPP`},
		{"vectors", `"Romeo" <sip:f%C3%BC%40x@example.org:5070;gr=y>;tag=1`, "sip:f%C3%BC%40x@example.org:5070;gr=y", `fü\40x\40example.org\3a5070@sip.example.com/y`,
			`percent-decoded user part: fü@x
example.org:5070 is neither sip.domain nor a [[domain]]: the @ is escaped as \40 (XEP-0106)
the gr parameter names the device: resource y
the address is a SIP user's: a contact in XMPP`},
		{"vectors", "sip:o'malley@example.net", "sip:o'malley@example.net", `o\27malley@net.sip.example.com`,
			`[[domain]]: example.net is called net.sip.example.com in XMPP
XEP-0106 escapes what a JID cannot have: o\27malley
the address is a SIP user's: a contact in XMPP`},
		{"vectors", "xmpp:o%5C27malley%5C40example.org@sip.example.com?message", `o\27malley\40example.org@sip.example.com`, "sip:o'malley@example.org",
			`the JID: o\27malley\40example.org@sip.example.com
sip.example.com is the component's: the JID stands for a SIP user
without the escapes of XEP-0106: o'malley@example.org
split at the last @: user o'malley at example.org`},
		{"vectors", `romeo\40example.net@sip.example.com`, `romeo\40example.net@sip.example.com`, "",
			`sip.example.com is the component's: the JID stands for a SIP user
without the escapes of XEP-0106: romeo@example.net
split at the last @: user romeo at example.net
refused: sip:romeo@example.net answers as romeo@net.sip.example.com, which is another JID than this
no address: This is not an address that could answer. The right one is romeo@net.sip.example.com.`},
		{"vectors", "juliet@elsewhere.example/x", "juliet@elsewhere.example/x", "sip:juliet%40elsewhere.example@sip.example.com;gr=x",
			`the JID is an XMPP user's
elsewhere.example is not in xmpp.user_domains: SIP reaches the user as user%40domain at our own host`},
		{"phone", "tel:+1-212-555-0123", "tel:+12125550123", "+12125550123@sip.example.com",
			`the URI, without what does not belong to an address: tel:+12125550123
tel: a telephone number belongs to the phone domain (sip.phone_domain): sip:+12125550123@pstn.example.net
a number at the phone domain (sip.phone_domain) is +number@sip.example.com in XMPP
the address is a SIP user's: a contact in XMPP`},
		{"phone", "sip:2125550100@pstn.example.net", "sip:2125550100@pstn.example.net", "juliet@example.com",
			`the number in full: +12125550100
[[alias]]: this is the XMPP user juliet@example.com
the address is an XMPP user's: SIP may write to it, and nobody in SIP may write under it`},
		{"phone", "+12125550123@sip.example.com", "+12125550123@sip.example.com", "sip:2125550123@pstn.example.net;user=phone",
			`sip.example.com is the component's: the JID stands for a SIP user
a telephone number: it belongs to the phone domain (sip.phone_domain), pstn.example.net
dialled as the route of the phone domain wants it: 2125550123`},
		{"phone", "juliet@example.com", "juliet@example.com", "sip:juliet@example.com",
			`the JID is an XMPP user's
example.com is an XMPP domain that we serve (xmpp.user_domains): the user has the same address in SIP
[[alias]]: toward pstn.example.net, and on routes with from = "alias", the user is sip:+12125550100@pstn.example.net;user=phone
[[alias]]: toward pbx.example.net, the user is sip:7001@pbx.example.net`},
		{"vectors", "sips:a:s3cret@b.example", "", "", "no address: The gateway does not take sips: addresses."},
		{"vectors", "sip:a:s3cret@b@c", "", "", "no address: The address has more than one @."},
		{"vectors", "xmpp:%zz", "xmpp:%zz", "", "no address: This is not the IRI of an XMPP address."},
		{"vectors", "a b@c", "a b@c", "", "no address: The user name has a character that an XMPP address may not have."},
	} {
		e := rules[c.config].Explain(c.in)
		if e.Input != c.input || e.Result != c.result || strings.Join(e.Steps, "\n") != c.steps || (e.Err == nil) != (c.result != "") {
			t.Errorf("%s: input %s, result %s, %v\n%s\nwant %s, %s\n%s", c.in, e.Input, e.Result, e.Err, strings.Join(e.Steps, "\n"), c.input, c.result, c.steps)
		}
		if strings.Contains(e.Input+strings.Join(e.Steps, ""), "s3cret") {
			t.Errorf("%s: tells a secret: %+v", c.in, e)
		}
	}
}
