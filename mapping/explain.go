package mapping

import (
	"fmt"
	"strings"
)

// Explanation says what an address is on the other side, and why.
type Explanation struct {
	Input  string   // the address as it was read, in normal form; as it was given if it could not be
	Result string   // the address on the other side; "" if there is none
	Err    error    // why there is none: a *Failure
	Steps  []string // what was found out in which order, in English sentences
	SIP    URI      // where requests to the address go; zero if nobody in SIP has it
}

// Explain maps a JID or a URI in any spelling, also an XMPP IRI or an address in
// angle brackets, to the other side. It goes the way that messages go; the steps
// are noted as it goes.
func (r *Rules) Explain(addr string) Explanation {
	addr = unbracket(addr)
	e := Explanation{Input: addr}
	var t trace
	if scheme, _, ok := strings.Cut(addr, ":"); !ok || !isScheme(scheme) {
		j, err := ParseJID(addr)
		e.fromJID(r, j, err, &t)
	} else if strings.EqualFold(scheme, "xmpp") {
		j, ok := parseIRI(addr)
		var err error
		if !ok {
			err = addressFailure(ReasonJIDMalformed, "This is not the IRI of an XMPP address.")
		}
		e.fromJID(r, j, err, &t)
	} else {
		e.fromURI(r, addr, &t)
	}
	e.Steps = t.steps
	if e.Err != nil {
		e.Steps = append(e.Steps, "no address: "+e.Err.(*Failure).Text)
	}
	return e
}

func (e *Explanation) fromJID(r *Rules, j JID, err error, t *trace) {
	if err != nil {
		e.Err = err
		return
	}
	t.normal("the JID", e.Input, j.String())
	e.Input = j.String()
	var u URI
	var f *Failure
	if r.component(j.Domain()) {
		t.add("%s is the component's: the JID stands for a SIP user", j.Domain())
		if f = r.sipAddress(&u, j.Bare(), t); f == nil && !j.IsBare() {
			t.add("the resource is left out: a SIP address has one only if it was learned from a GRUU")
		}
		e.SIP = u
	} else {
		t.add("the JID is an XMPP user's")
		f = r.sipIdentity(&u, j, "", t)
		for i, alias := range r.known[j.Bare()] {
			where := ""
			if i == 0 {
				where = ", and on routes with from = \"alias\""
			}
			t.add("[[alias]]: toward %s%s, the user is %s", alias.Host, where, alias)
		}
		e.account(r, j, t)
	}
	if f != nil {
		e.Err = f
		return
	}
	e.Result = u.String()
}

// account says where the user is his SIP account. Whether he has one is known only to the
// daemon.
func (e *Explanation) account(r *Rules, j JID, t *trace) {
	for _, route := range r.routes {
		if !route.account {
			continue
		}
		where := "toward " + route.host
		if route.host == "*" {
			where = "toward all other domains"
		}
		if r.lines == nil {
			t.add("from = \"account\": %s the user is his SIP account, if he has registered one", where)
		} else if aor, ok := r.lines.AccountOf(j.Bare()); ok {
			t.add("from = \"account\": %s the user is his SIP account, %s", where, aor)
		}
	}
}

func (e *Explanation) fromURI(r *Rules, addr string, t *trace) {
	u, f := parseURI(addr)
	if f != nil {
		// What could not be parsed is not repeated: it may have a password in it.
		e.Err, e.Input = f, ""
		return
	}
	t.normal("the URI, without what does not belong to an address", addr, u.String())
	e.Input = u.String()
	if strings.Contains(e.Input, "%") && u.User != "" {
		t.add("percent-decoded user part: %s", u.User)
	}
	j, f := r.xmppAddress(u, t)
	if f != nil {
		e.Err = f
		return
	}
	if r.component(j.Domain()) {
		t.add("the address is a SIP user's: a contact in XMPP")
		if user, err := r.RecipientOf(&SIPMessage{RequestURI: u, To: u}); err == nil {
			t.add("a request for it that comes to us is for the XMPP user %s: the host is ours, and an [[alias]] says whom the user part means", user)
		}
		if aor, key, fault := r.AccountAddress(u); fault == "" {
			if user, ok := r.accountOwner(key); ok {
				t.add("from = \"account\": this is the SIP account of the XMPP user %s; a request for it that comes to us is for him", user)
			} else if r.lines == nil {
				t.add("from = \"account\": if an XMPP user has registered %s as his account, a request for it that comes to us is for him", aor)
			}
		}
		e.SIP = u
	} else {
		t.add("the address is an XMPP user's: SIP may write to it, and nobody in SIP may write under it")
	}
	e.Result = j.String()
}

// trace collects the steps of an explanation. It is nil outside of Explain, and
// nobody may call add then: that way formatting costs a message nothing.
type trace struct{ steps []string }

func (t *trace) add(format string, args ...any) {
	t.steps = append(t.steps, fmt.Sprintf(format, args...))
}

// normal notes the normal form of what was given, if that is another.
func (t *trace) normal(what, given, normal string) {
	if given != normal {
		t.add("%s: %s", what, normal)
	}
}
