package sipside

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// request is a request on its way through the checks.
type request struct {
	method  string
	target  string // Request-URI as it came
	version string
	f       fields
	via     via
	hasVia  bool
	from    nameAddr
	to      nameAddr
	hasTo   bool
	cseq    uint32
	body    []byte
	max     int // what the body may have
	source  netip.AddrPort
	udp     bool
	read    time.Time
	key     txKey
	rd      *reader   // that has read it
	last    *lastPeer // what is known of peer, if it is where it sends from that says who it is; else nil
	tx      *serverTx // of a MESSAGE that may be handed over
	counted bool      // it counts as one of its source
	flow    uint64    // the connection that it came over, 0 over UDP

	set     *settings   // in force when it was read
	account mapping.URI // of a user, to whose contact it was sent by its registrar; else zero
	peer    *peer       // nil: of nobody that is known
	user    string      // by which it has proved, by digest, that it is peer's; "": it has not
	wrong   bool        // it has given a wrong password
	limited bool        // it was one too many of its source
}

// known are the methods that exist (IANA); those that are not allowed get 405,
// all others 501 (SIP-21). ACK is in neither list, as it is never answered.
var known = map[string]bool{
	"INVITE": true, "BYE": true, "REGISTER": true, "SUBSCRIBE": true, "NOTIFY": true,
	"PUBLISH": true, "INFO": true, "REFER": true, "UPDATE": true, "PRACK": true,
	"CANCEL": true, "OPTIONS": true, "MESSAGE": true,
}

// check goes through RFC 3261 §8.2 in order, as far as no transaction and no
// mapping is needed. It gives the refusal, or the value, or neither: then the
// request is an OPTIONS, CANCEL or ACK that is to be handled.
func (u *UA) check(r *request) (mapping.SIP, *reply) {
	// 1. Version and syntax (SIP-01). Of another version we do not know the syntax.
	if !strings.EqualFold(r.version, "SIP/2.0") {
		return refuse(mapping.FailVersion())
	}
	if why := r.syntax(); why != "" {
		return refuse(mapping.FailBadRequest(why))
	}
	// 2. The source (SEC-29) and its rate (SEC-24). Who may still log in goes on.
	switch {
	case u.isBlocked(r.source.Addr()):
		u.stats.Blocked.Add(1)
		return refuse(mapping.FailForbidden())
	case r.peer == nil && !r.set.logsIn():
		return refuse(mapping.FailForbidden())
	case !u.inRate(r):
		r.limited = true
		u.tellRate(r.source, r.peer, r.read)
		return refuse(failRate())
	}
	// 3. Max-Forwards (SEC-11); an OPTIONS that ends here may be answered.
	if r.f.maxForwards != "" {
		n, err := strconv.ParseUint(r.f.maxForwards, 10, 8)
		if err != nil {
			return refuse(mapping.FailBadRequest("Max-Forwards"))
		}
		if n == 0 && r.method != "OPTIONS" {
			return refuse(mapping.FailTooManyHops())
		}
	}
	// 4. Loops: a Via that we wrote (SEC-12).
	switch own, ok := u.passed(r); {
	case !ok:
		return nil, &reply{status: 513} // SIP-29
	case own:
		return refuse(mapping.FailLoop())
	}
	// 5. Who it says it is. A CANCEL cannot be challenged (RFC 3261 §22.1).
	if r.peer == nil && r.method != "CANCEL" {
		refused := u.authenticate(r)
		if !u.inRateAs(r) {
			r.limited = true
			u.tellRate(r.source, r.peer, r.read)
			return refuse(failRate())
		}
		if refused != nil {
			return nil, refused
		}
	}
	// 6. The method (SIP-21).
	switch {
	case r.method == methodMessage:
	case !known[r.method]:
		return refuse(mapping.FailUnknownMethod())
	case r.method == "CANCEL":
		return nil, nil
	case r.method != methodOptions && !aboutEvents(r.method):
		return refuse(mapping.FailMethod())
	}
	// 7. The Request-URI (SIP-28, SEC-02). Whether its domain is served is the bridge's.
	target, err := mapping.ParseURI(r.target)
	if err != nil {
		return refuse(asFailure(err))
	}
	if len(r.to.uri) > 5 && strings.EqualFold(r.to.uri[:5], "sips:") {
		_, err := mapping.ParseURI(r.to.uri)
		return refuse(asFailure(err))
	}
	// There are no dialogs but those of subscriptions (SIP-18). Which there are is not known here.
	if r.to.tag != "" && r.method != methodSubscribe && r.method != methodNotify {
		return refuse(mapping.FailNoDialog())
	}
	// 9. Extensions (SIP-22).
	if tags, ok := optionTags(r.f.require); !ok {
		return refuse(mapping.FailBadRequest("Require"))
	} else if tags != "" {
		return refuse(mapping.FailExtension(), "Unsupported: "+tags+"\r\n")
	}
	switch {
	case r.method == methodOptions:
		return nil, nil
	case aboutEvents(r.method):
		return u.checkEvent(r, target)
	}
	return u.checkMessage(r, target)
}

// passed reports whether the request has been through here already; ok is false if it has
// been through too many hands.
func (u *UA) passed(r *request) (own, ok bool) {
	if len(r.f.vias) == 1 && r.via.plain { // it has been read
		_, made := u.client.parseBranch(r.via.branch)
		return made && u.isOurs(r.via), true
	}
	return u.ownVia(r.f.vias)
}

// checkMessage goes on with what only concerns a MESSAGE.
func (u *UA) checkMessage(r *request, target mapping.URI) (mapping.SIP, *reply) {
	from, name, written, f := u.identity(r)
	if f != nil {
		return refuse(f)
	}
	// 10. Content (SIP-29, CT-01).
	if f := r.content(); f != nil {
		return refuse(f)
	}
	in := new(messageTx)
	r.tx = &in.serverTx
	m := &in.value
	m.RequestURI, m.From, m.To = target, from, target
	if !written.IsZero() {
		m.Written = copied(written)
	}
	if !r.account.IsZero() {
		m.Account = copied(r.account)
	}
	if r.to.uri != r.target { // To only informs (IM-16)
		if uri, err := mapping.ParseURI(r.to.uri); err == nil {
			m.To = uri
		}
	}
	if name != "" { // kept for long as a nick: without the message around it
		m.Name = strings.Clone(mapping.HeaderText(name))
	}
	m.CallID, m.FromTag, m.CSeq, m.Received, m.Agent, m.Body = r.f.callID, r.from.tag, r.cseq, r.read, r.f.agent, r.body
	m.ContentType, m.Encoding, m.Disposition = r.f.contentType, r.f.encoding, r.f.disposition
	m.Here, m.Routes = u.reached(target, r)
	r.inform(m)
	return m, nil
}

// copied is a function of its own, lest all addresses be on the heap.
func copied(u mapping.URI) *mapping.URI { return &u }

// inform adds what only informs, and few messages have.
func (r *request) inform(m *mapping.SIPMessage) {
	if r.f.subject != "" {
		m.Subject = mapping.HeaderText(r.f.subject)
	}
	if r.f.date != "" {
		m.Date = parseDate(r.f.date)
	}
	if r.f.expires != "" {
		m.Expires = parseExpires(r.f.expires)
	}
	if r.f.language != "" {
		m.Lang, _ = cutList(mapping.HeaderText(r.f.language))
	}
}

// content says what is wrong with the body, as far as can be told without reading it.
func (r *request) content() *mapping.Failure {
	switch {
	case len(r.body) > r.max:
		return mapping.FailTooLarge(0)
	case r.f.contentType == "" && len(r.body) > 0: // RFC 3261 §20.15
		return mapping.FailBadRequest("no Content-Type")
	}
	return nil
}

func refuse(f *mapping.Failure, extra ...string) (mapping.SIP, *reply) {
	r := refusal(f, extra...)
	return nil, &r
}

// asFailure gives the Failure in err; mapping promises that there is one.
func asFailure(err error) *mapping.Failure {
	if f, ok := err.(*mapping.Failure); ok {
		return f
	}
	return mapping.FailBadRequest("address")
}

// syntax checks the headers that every request must have and says what is wrong.
func (r *request) syntax() string {
	f := &r.f
	var ok bool
	switch {
	case !r.hasVia || r.via.stray():
		return "Via"
	case f.repeated:
		return "a header stands twice"
	case f.from == "" || f.to == "" || f.callID == "" || f.cseq == "":
		return "a header is missing"
	}
	if !r.from.parse(f.from) || !isToken(r.from.tag) {
		return "From"
	}
	if !r.hasTo {
		return "To"
	}
	if !isCallID(f.callID) {
		return "Call-ID"
	}
	var method string
	if r.cseq, method, ok = parseCSeq(f.cseq); !ok || method != r.method {
		return "CSeq"
	}
	return ""
}

// isCallID reports whether a Call-ID can be given back, and on: it is one word.
func isCallID(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c <= ' ' || c >= 0x7f {
			return strings.IndexByte(s, ' ') < 0 && headerSafe(s)
		}
	}
	return true
}

// optionTags joins the option tags of Require rows; false if one is no token.
func optionTags(rows []string) (string, bool) {
	var tags []string
	for _, row := range rows {
		for row != "" {
			var t string
			if t, row = cutList(row); t == "" {
				continue
			}
			if !isToken(t) {
				return "", false
			}
			tags = append(tags, t)
		}
	}
	return strings.Join(tags, ", "), true
}
