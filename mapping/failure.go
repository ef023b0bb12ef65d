package mapping

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Condition is a defined condition of a stanza error (RFC 6120 §8.3.3).
type Condition string

// ErrorType is the type attribute of a stanza error (RFC 6120 §8.3.2).
type ErrorType string

// The five error types.
const (
	TypeAuth     ErrorType = "auth"
	TypeCancel   ErrorType = "cancel"
	TypeContinue ErrorType = "continue"
	TypeModify   ErrorType = "modify"
	TypeWait     ErrorType = "wait"
)

// Failure is the one error that crosses the bridge: what the peer on either
// side is told. Both forms are set when it is made, so neither side has to
// know the tables of the other.
type Failure struct {
	Status    int       // the SIP final status, 300-699; never 401, 407 or 408 (ERR-09, ERR-10)
	Reason    string    // Reason-Phrase; "" stands for the standard one of Status
	Condition Condition // the stanza error ...
	Type      ErrorType // ... and its type
	Text      string    // one English sentence that the peer may be shown; no message text, no internals

	// Alternate is the new address of a redirect or gone, in the form of the side
	// that is told: a SIP URI for Contact, an XMPP IRI or SIP URI for <gone/>.
	// As read from a bounce it is still an XMPP IRI, with a Status below which no
	// Contact can stand (410, 480), until Rules.FailureToSIP has looked at it.
	Alternate string
	// RetryAfter is how long the peer is asked to wait; 0 says nothing.
	RetryAfter time.Duration
	// Warning is code and quoted text of a Warning header (RFC 3261 §20.43), "" if none.
	// The agent, which stands between the two, is added by the side that sends it.
	Warning string
	// Accept and AcceptEncoding are the values of the headers that tell the sender of a
	// body that is not understood (415) what would be; "" leaves the header out.
	Accept, AcceptEncoding string

	// Blocked: the sender has blocked the recipient himself, which XMPP says with a
	// condition of its own (XEP-0191 §3.5).
	Blocked bool

	// Err is the cause, for the log only: it never reaches a peer.
	Err error
	// Remedy tells an admin what may be done about it, by a key of the
	// configuration or a command: for the log only, "" if there is nothing.
	Remedy string
}

// Error implements error. It is for the log: the texts are ours or the peer's
// reason, never the text of a message.
func (f *Failure) Error() string {
	s := fmt.Sprintf("%d %s", f.Status, f.Condition)
	if f.Text != "" {
		s += ": " + f.Text
	}
	if f.Err != nil {
		s += ": " + f.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Err }

// Temporary reports whether the same message may succeed later without being
// changed (error type wait).
func (f *Failure) Temporary() bool { return f.Type == TypeWait }

// FailureFromStanza makes a Failure of a stanza error that XMPP answered with,
// by the table Default (ERR-01). An unknown condition is read as
// undefined-condition and an unknown type as the condition's own. text, that of
// the <text/> element or "", becomes the Reason-Phrase.
//
// alternate is the content of <gone/> or <redirect/>, "" if none. It is kept only
// if it is an XMPP IRI. Only Rules know what that is in SIP: until FailureToSIP
// has mapped it, Status is the one for a condition without an address.
//
// There is never a RetryAfter: a SIP peer that sees one stops sending us
// everything (SIP-30).
func FailureFromStanza(cond Condition, typ ErrorType, text, alternate string) *Failure {
	if !cond.Known() {
		cond = CondUndefinedCondition
	}
	if !typ.Known() {
		typ = cond.DefaultType()
	}
	f := &Failure{
		Status:    Default.Status(cond, false, false),
		Reason:    ReasonText(text),
		Condition: cond,
		Type:      typ,
		Text:      sentence(text),
		Remedy:    remedyAnsweredXMPP,
	}
	if cond == CondGone || cond == CondRedirect {
		if j, ok := parseIRI(alternate); ok {
			f.Alternate = iri(j)
		}
	}
	return f
}

// FailureFromStatus makes a Failure of a final answer that SIP gave, by the table
// Default (ERR-02). reason is its Reason-Phrase, retryAfter that of Retry-After (0
// if none; its presence makes the type wait, ERR-06), contacts the values of its
// Contact headers as they stand there.
//
// Of a 3xx the usable Contact with the highest q goes into Alternate, as a SIP
// URI that any reader of <gone/> may be given (ERR-12); Rules.FailureToXMPP makes
// it an address of the component. Without one, a 301 is an empty gone and the
// others are recipient-unavailable, type wait.
//
// Text is status and reason as the sender shall read them, "404 Not Found", and behind
// them what the first two of warnings say, the values of its Warning headers: "606 Not
// Acceptable (Incompatible bandwidth units)". Malformed ones are passed over.
// Status is that of the answer, but for those that a gateway may not pass on: 403
// stands for 401 and 407, and 504 for 408. A status outside 300-699 is no failure
// of SIP but a fault of the caller and gives 500.
func FailureFromStatus(status int, reason string, retryAfter time.Duration, contacts []string, warnings ...string) *Failure {
	if status < 300 || status > 699 {
		return FailInternal(fmt.Errorf("%d is not the status of a failure", status))
	}
	if retryAfter < 0 {
		retryAfter = 0
	}
	reason = strings.TrimSpace(reason)
	text := reason
	if text == "" {
		text = ReasonPhrase(status)
	}
	f := &Failure{
		Status:     passable(status),
		Reason:     ReasonText(reason),
		Text:       withWarnings(sentence(strconv.Itoa(status)+" "+text), warnings),
		RetryAfter: retryAfter,
		Remedy:     remedyAnsweredSIP,
	}
	if status == 401 || status == 407 {
		f.Remedy = remedyPassword
	}
	if f.Status != status {
		f.Reason = "" // it belongs to the other status
	}
	f.Condition, f.Type = Default.Condition(status)
	if status < 400 && (f.Condition == CondGone || f.Condition == CondRedirect) {
		if u, ok := bestContact(contacts); ok {
			f.Alternate = u.String()
		} else if f.Condition == CondRedirect {
			f.Condition, f.Type = CondRecipientUnavailable, TypeWait
		}
	}
	if retryAfter > 0 {
		f.Type = TypeWait
	}
	return f
}

// What an admin may do about an answer of the other side. "stox map" shows what
// that side was asked for.
const (
	remedyAnsweredXMPP = "the XMPP server answered this: stox map shows the address it was asked for"
	remedyAnsweredSIP  = "the SIP server answered this: stox map shows the address it was asked for"
	remedyPassword     = "the SIP server wants to know who we are: sip.route.username and sip.route.password answer it; or let it take requests from this machine's address without that"
)

// passable is the status that a gateway may send where it would be status: one
// that asks for a challenge has none from us (ERR-10), and 408 is forbidden to
// everything but INVITE (RFC 4320 §4.2, ERR-09).
func passable(status int) int {
	switch status {
	case 401, 407:
		return 403
	case 408:
		return 504
	}
	return status
}
