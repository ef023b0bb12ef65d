package mapping

import "errors"

// Reason says in one word why an address was not taken or not mapped. Every
// *Failure of this package that is about an address has one in its chain:
// ReasonOf finds it, errors.Is compares it.
type Reason string

// The reasons. What each is answered with stands in answerTo.
const (
	ReasonSyntax        Reason = "syntax"         // not a URI
	ReasonBadUTF8       Reason = "bad-utf8"       // percent-decoding gives something that is not UTF-8
	ReasonUnmappable    Reason = "unmappable"     // a good address here that cannot be written there
	ReasonNotServed     Reason = "not-served"     // nobody whom this gateway serves
	ReasonSIPS          Reason = "sips"           // known, and refused
	ReasonScheme        Reason = "scheme"         // a URI that is not a SIP address
	ReasonTooLong       Reason = "too-long"       // a part of the JID would have more than 1023 octets
	ReasonJIDMalformed  Reason = "jid-malformed"  // not a JID, or not one of the gateway's forms
	ReasonItemNotFound  Reason = "item-not-found" // stands for nothing, or is not the address that would answer
	ReasonBadDomain     Reason = "bad-domain"     // not a domain name
	ReasonGatewayItself Reason = "gateway-itself" // the gateway's own address: nothing to translate
	ReasonForbidden     Reason = "forbidden"      // a SIP sender under the address of an XMPP user (SEC-28)
	ReasonUnregistered  Reason = "unregistered"   // a user who has no SIP account, and needs one (GW-21)
)

// Error implements error.
func (r Reason) Error() string { return string(r) }

// ReasonOf is the reason in err, "" if there is none.
func ReasonOf(err error) Reason {
	var r Reason
	if errors.As(err, &r) {
		return r
	}
	return ""
}

// answerTo is what either side is told for a reason (ADDR-12). Whatever the
// table leaves open is the default type of RFC 6120 §8.3.3 and the row of the
// status in RFC 7247 §7.2.
var answerTo = map[Reason]struct {
	status    int
	condition Condition
	typ       ErrorType
}{
	ReasonSyntax:        {400, CondJIDMalformed, TypeModify},
	ReasonBadUTF8:       {400, CondJIDMalformed, TypeModify},
	ReasonUnmappable:    {404, CondJIDMalformed, TypeModify},
	ReasonNotServed:     {404, CondItemNotFound, TypeCancel},
	ReasonSIPS:          {480, CondRecipientUnavailable, TypeWait},
	ReasonScheme:        {416, CondNotAcceptable, TypeModify},
	ReasonTooLong:       {414, CondJIDMalformed, TypeModify},
	ReasonJIDMalformed:  {404, CondJIDMalformed, TypeModify},
	ReasonItemNotFound:  {404, CondItemNotFound, TypeCancel},
	ReasonBadDomain:     {404, CondRemoteServerNotFound, TypeCancel},
	ReasonGatewayItself: {404, CondItemNotFound, TypeCancel},
	ReasonForbidden:     {403, CondForbidden, TypeAuth},
	ReasonUnregistered:  {480, CondRegistrationRequired, TypeAuth},
}

// addressFailure is the failure for reason. text is shown to the peer: it may
// name an address that the peer should use, never a password or a header.
func addressFailure(reason Reason, text string) *Failure {
	a := answerTo[reason]
	f := &Failure{Status: a.status, Condition: a.condition, Type: a.typ, Text: text, Err: reason, Remedy: "stox map explains every address"}
	if reason == ReasonSIPS {
		f.Warning = `380 "SIPS Not Allowed"` // RFC 5630 §5.1.2, RFC 7247 §8
	}
	return f
}
