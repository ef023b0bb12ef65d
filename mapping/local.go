package mapping

import (
	"fmt"
	"strings"
	"time"
)

// Every failure that arises in stox itself, in one place: what the SIP side and
// what the XMPP side is told. Each call gives a fresh value, so that the caller
// may set Err. Which side is told at all depends on who had sent the message;
// statuses and sentences for both are set regardless.
//
// The text of a message, an address or a cause never goes into Text.

// FailTimeout means that SIP gave no final answer in time, or the connection broke after
// the request had been written.
func FailTimeout() *Failure {
	return &Failure{Status: 504, Condition: CondRemoteServerTimeout, Type: TypeWait,
		Text:   "No answer came in time. The message may have arrived all the same.",
		Remedy: "does a SIP server listen there, over that transport, and does a firewall let us through? (sip.route.via)"}
}

// MayHaveArrived adds to the text of a Failure that an earlier copy of the message may
// have arrived all the same.
func MayHaveArrived(text string) string {
	return sentence(strings.TrimSuffix(text, ".") + ". An earlier copy of the message may have arrived.")
}

// PartsArrived adds to the text of a Failure that the first few of the parts that the
// message was sent in have arrived.
func PartsArrived(text string, arrived, parts int) string {
	said := fmt.Sprintf("The first %d of %d parts arrived.", arrived, parts)
	if arrived == 1 {
		said = fmt.Sprintf("The first of %d parts arrived.", parts)
	}
	if text = strings.TrimRight(sentence(text), ". "); text == "" {
		return said
	}
	return cut(text, maxSentence-len(said)-2) + ". " + said
}

// FailUnreachable means that no SIP server for the address took a connection. Nothing has left.
func FailUnreachable() *Failure {
	return &Failure{Status: 503, Condition: CondRemoteServerTimeout, Type: TypeWait,
		Text:   "The SIP server of this address cannot be reached at the moment.",
		Remedy: "is the SIP server running, and is its port open? (sip.route.via)"}
}

// FailNeedsTCP means that a message is too long for UDP, limit bytes being what goes
// over that, and that the SIP server for the address took no TCP connection. Whether
// it never does or is being restarted cannot be told, so it is tried again like any
// server that cannot be reached. Its status, 513, tells it from that: shorter messages
// may well get there. Nothing has left.
func FailNeedsTCP(limit int) *Failure {
	return &Failure{Status: 513, Condition: CondRemoteServerTimeout, Type: TypeWait,
		Text:   "The message is too long for UDP, and the SIP server of this address takes no TCP connection at the moment.",
		Remedy: fmt.Sprintf("is the SIP server running, and does it listen on TCP? Messages of more than %d bytes, headers included, go there over TCP (sip.route.via)", limit)}
}

// FailWrongName means that the SIP server for the address has proved to be another one, or
// not proved who it is: its certificate is not for the domain (RFC 5922 §7.3). Nothing has left.
func FailWrongName() *Failure {
	return &Failure{Status: 404, Condition: CondRemoteServerNotFound, Type: TypeCancel,
		Text:   "The SIP server of this address does not prove that it is the right one.",
		Remedy: "the server has to show a certificate for its domain; is the address the right one? (sip.route.via)"}
}

// FailInsecure means that there is no secure connection to the SIP server for the address,
// or none of the kind that was asked for. Nothing has left.
func FailInsecure() *Failure {
	return &Failure{Status: 503, Condition: CondRemoteServerTimeout, Type: TypeWait,
		Text:   "There is no secure connection to the SIP server of this address at the moment.",
		Remedy: "does the server take TLS there, with a certificate that we trust? (sip.route.via, sip.tls_ca)"}
}

// FailDNS means that the SIP domain does not exist.
func FailDNS() *Failure {
	return &Failure{Status: 404, Condition: CondRemoteServerNotFound, Type: TypeCancel,
		Text:   "The domain of this address does not exist in SIP.",
		Remedy: "correct the address or sip.domain, or say where the domain is with sip.route.via"}
}

// FailTransport means that the address can only be reached over a transport that the
// gateway does not have.
func FailTransport() *Failure {
	return &Failure{Status: 404, Condition: CondRemoteServerNotFound, Type: TypeCancel,
		Text:   "The SIP servers of this address take no transport that the gateway has.",
		Remedy: "sip.listen says what there is; sip.route.via can lead to a proxy that has more"}
}

// FailTooLarge means that the message is longer than limit bytes, in the form in which it
// would be sent on; 0 does not name the limit.
func FailTooLarge(limit int) *Failure {
	f := &Failure{Status: 413, Condition: CondPolicyViolation, Type: TypeModify,
		Text: "The message is too long."}
	if limit > 0 {
		f.Text = fmt.Sprintf("The message is too long: %d bytes are the limit, headers included.", limit)
	}
	return f
}

// FailBusy means that a queue is full, or the rate of a SIP peer exceeded, for this sender or this
// destination only. The seconds to wait are in the text and not in RetryAfter:
// a SIP peer that sees Retry-After stops sending us everything (SIP-30).
func FailBusy(seconds int) *Failure {
	return &Failure{Status: 503, Condition: CondResourceConstraint, Type: TypeWait,
		Text: fmt.Sprintf("Too many messages are waiting. Try again in %d s.", max(seconds, 1))}
}

// FailTooFast means that an XMPP user sends more messages than the gateway takes of one;
// after so many seconds there is room for the next. The seconds are in the text only.
func FailTooFast(seconds int) *Failure {
	return &Failure{Status: 503, Condition: CondResourceConstraint, Type: TypeWait,
		Text:   fmt.Sprintf("You send too many messages. Try again in %d s.", max(seconds, 1)),
		Remedy: "limits.user_rate is how many messages a second one user may send"}
}

// FailOverloaded means that the whole process is overloaded. Besides FailNoLinks the
// only failure that asks a SIP peer to stay away for a while; after is kept between
// 1 and 10 s (SIP-30).
func FailOverloaded(after time.Duration) *Failure {
	after = away(after)
	return &Failure{Status: 503, Condition: CondResourceConstraint, Type: TypeWait, RetryAfter: after,
		Text: fmt.Sprintf("The gateway is overloaded. Try again in %d s.", after/time.Second)}
}

// FailNoLink means that there is no connection to the XMPP server of the address. Nothing has left.
func FailNoLink() *Failure {
	return &Failure{Status: 503, Condition: CondRemoteServerTimeout, Type: TypeWait,
		Text:   "The gateway has no connection to the XMPP server at the moment.",
		Remedy: "the log says why there is no link (xmpp.server)"}
}

// FailNoLinks means that no link to any XMPP server takes messages. It is FailNoLink for a
// SIP peer that shall stay away for a while, as with FailOverloaded.
func FailNoLinks(after time.Duration) *Failure {
	f := FailNoLink()
	f.RetryAfter = away(after)
	return f
}

// away is how long a peer is asked to stay away.
func away(after time.Duration) time.Duration {
	return min(max(after.Round(time.Second), time.Second), 10*time.Second)
}

// FailLinkLost means that the connection to the XMPP server broke after the message had
// been written. It may have arrived.
func FailLinkLost() *Failure {
	return &Failure{Status: 503, Condition: CondRemoteServerTimeout, Type: TypeWait,
		Text: "The connection to the XMPP server broke. The message may have arrived all the same."}
}

// FailExpired means that a message has waited so long behind others for the same
// address that it is not tried any more. Nothing has left.
func FailExpired() *Failure {
	return &Failure{Status: 504, Condition: CondRemoteServerTimeout, Type: TypeWait,
		Text:   "The message waited too long behind others for the same address.",
		Remedy: "stox queue list shows what waits; queue.expire is how long"}
}

// FailNotified means that the recipient's user agent has reported, after it had accepted the
// message, that it has not been delivered (RFC 5438).
func FailNotified() *Failure {
	return &Failure{Status: 480, Condition: CondRecipientUnavailable, Type: TypeWait,
		Text:   "The other side had accepted the message, and now reports that it was not delivered.",
		Remedy: "this is what the SIP device or server of the recipient says in a delivery notification"}
}

// FailUnfinished means that the first parts of a message took all the time that there was
// for it. The others have not left.
func FailUnfinished() *Failure {
	return &Failure{Status: 504, Condition: CondRemoteServerTimeout, Type: TypeWait,
		Text:   "There was no time left for the rest of the message.",
		Remedy: "queue.expire is how long a message has, in all its parts"}
}

// FailStore means that the journal cannot be written: the message was not taken.
func FailStore() *Failure {
	return &Failure{Status: 503, Condition: CondResourceConstraint, Type: TypeWait,
		Text:   "The gateway cannot store messages at the moment. Try again later.",
		Remedy: "the log says what is wrong with the file (store.path)"}
}

// FailDropped means that the operator of the gateway has taken the message out of
// its queue.
func FailDropped() *Failure {
	return &Failure{Status: 503, Condition: CondResourceConstraint, Type: TypeCancel,
		Text: "The message was dropped by the operator of the gateway."}
}

// FailShutdown means that stox is stopping and takes nothing new.
func FailShutdown() *Failure {
	return &Failure{Status: 503, Condition: CondResourceConstraint, Type: TypeWait,
		Text: "The gateway is being restarted."}
}

// FailForbidden means that the access rules do not let this one through. It says nothing
// about whether an account exists (SEC-13).
func FailForbidden() *Failure {
	return &Failure{Status: 403, Condition: CondForbidden, Type: TypeAuth,
		Text:   "You may not use this gateway for this address.",
		Remedy: "access.allow lists the XMPP users who may use the gateway"}
}

// FailNotServed means that the address is in no domain that the gateway serves (SEC-27).
func FailNotServed() *Failure {
	return &Failure{Status: 404, Condition: CondItemNotFound, Type: TypeCancel,
		Text:   "The gateway does not serve this address.",
		Remedy: "xmpp.user_domains lists the XMPP domains that are served"}
}

// FailLoop means that the message has been here before, or would come back.
func FailLoop() *Failure {
	return &Failure{Status: 482, Condition: CondPolicyViolation, Type: TypeCancel,
		Text:   "The message would come back to the gateway.",
		Remedy: "sip.route.via, or DNS, leads back to this gateway"}
}

// FailTooManyHops means that Max-Forwards is used up.
func FailTooManyHops() *Failure { return localSIP(483, "The message came over too many hops.") }

// FailExtension means that the request requires an extension. The answer needs Unsupported.
func FailExtension() *Failure {
	return localSIP(420, "The request requires an extension that the gateway does not have.")
}

// FailMethod is for a method that is known and not supported. The answer needs Allow.
func FailMethod() *Failure { return localSIP(405, "The gateway does not support this method.") }

// FailUnknownMethod is for a method that is not known at all.
func FailUnknownMethod() *Failure { return localSIP(501, "The gateway does not know this method.") }

// FailVersion is for requests that are not SIP/2.0.
func FailVersion() *Failure { return localSIP(505, "The gateway speaks SIP/2.0 only.") }

// FailNoDialog is for a request within a dialog that the gateway does not have.
func FailNoDialog() *Failure { return localSIP(481, "The gateway knows no such dialog.") }

// FailNoSubscription is for a request of a subscription that the gateway does not have (RFC
// 6665 §4.1.3).
func FailNoSubscription() *Failure {
	f := localSIP(481, "The gateway knows no such subscription.")
	f.Reason = "Subscription does not exist"
	return f
}

// FailEvent is for an event package that the gateway does not have (RFC 6665 §7.2.2).
func FailEvent() *Failure { return localSIP(489, "The gateway does not support this event package.") }

// FailNoForm is for somebody who takes none of the forms that there are (RFC 3261 §21.4.7).
func FailNoForm() *Failure {
	return localSIP(406, "The gateway has no form of it that would be accepted.")
}

// FailTooBrief is for an interval that is too short (RFC 3261 §21.4.17); which is long
// enough is said in the EventAnswer.
func FailTooBrief() *Failure { return localSIP(423, "The interval is too short for the gateway.") }

// FailCondition is for an entity-tag that nothing has, or nothing has any more (RFC 3903 §11.2.1).
func FailCondition() *Failure { return localSIP(412, "The gateway has no such publication.") }

// FailBadRequest means that the request or stanza breaks a rule; what says which, in a few
// words that the peer may be shown.
func FailBadRequest(what string) *Failure {
	f := localSIP(400, "The request is malformed.")
	if what = sentence(what); what != "" {
		f.Reason = ReasonText("Bad Request (" + what + ")")
		f.Text = sentence("The request is malformed: " + what + ".")
	}
	return f
}

// FailBadText means that the text is not in the charset that it claims.
func FailBadText() *Failure {
	f := localSIP(400, "The text is not valid UTF-8.")
	f.Reason = "Bad Request (text is not valid UTF-8)"
	return f
}

// FailUnsupportedType is for a media type or charset that is not understood (CT-01).
func FailUnsupportedType() *Failure {
	f := localSIP(415, "Messages of this kind cannot be passed on.")
	f.Accept = AcceptTypes
	f.Remedy = "have the phone or PBX send text/plain in UTF-8"
	return f
}

// FailUnsupportedEncoding is for a Content-Encoding that is not understood (CT-13).
func FailUnsupportedEncoding() *Failure {
	f := localSIP(415, "The encoding of the message is not understood.")
	f.AcceptEncoding = AcceptEncodings
	return f
}

// FailUndecipherable is for a body that is encrypted, or signed in a way that hides it
// (CT-14): a gateway has no key for it.
func FailUndecipherable() *Failure {
	f := localSIP(493, "Encrypted messages cannot be passed on.")
	f.Remedy = "have the phone or PBX send messages without S/MIME"
	return f
}

// FailLate means that a request has come after the time for which it was of use, and
// that the gateway is told to refuse such (IM-25).
func FailLate() *Failure {
	f := localSIP(480, "The message came after it had expired.")
	f.Remedy = "sip.expired decides what becomes of such messages; is the clock of the sender right?"
	return f
}

// FailEncrypted means that the text is a ciphertext: the other side could not read it (CT-14).
func FailEncrypted() *Failure {
	return &Failure{Status: 488, Condition: CondNotAcceptable, Type: TypeModify,
		Text: "This message is encrypted, and SIP could not read it. Switch encryption off for this contact and send it again."}
}

// FailLink means that a message is nothing but a link, and that it is of no use to a SIP
// user (CT-16).
func FailLink() *Failure {
	return &Failure{Status: 488, Condition: CondNotAcceptable, Type: TypeModify,
		Text: "Links of this kind are of no use to a SIP user. Send the address of a web page, or a text."}
}

// FailGroupchat means that a SIP address is no room (IM-08).
func FailGroupchat() *Failure {
	return &Failure{Status: Default.Status(CondServiceUnavailable, false, false),
		Condition: CondServiceUnavailable, Type: TypeCancel, Text: "There is no room at this address."}
}

// FailGateway is for a text to the gateway itself that is no question to it.
func FailGateway() *Failure {
	return &Failure{Status: 480,
		Condition: CondServiceUnavailable, Type: TypeCancel, Text: "Nobody reads what is written to the gateway itself. It answers to \"help\"."}
}

// FailInternal is for a fault of stox. cause is for the log only.
func FailInternal(cause error) *Failure {
	return &Failure{Status: 500, Condition: CondInternalServerError, Type: TypeCancel,
		Text: "The gateway failed to handle the message.", Err: cause}
}

// FailRepeated answers the repeat of a request whose first answer was a failure with
// this status, of which nothing else is remembered. The new address of a redirect is
// gone: it stands as 410 for 301 and as 480 for 302, like one that cannot be mapped.
func FailRepeated(status int) *Failure {
	switch status = passable(status); status {
	case 301:
		status = 410
	case 302:
		status = 480
	}
	f := localSIP(status, "An earlier copy of the request was answered like this.")
	f.Remedy = remedyAnsweredXMPP
	return f
}

// localSIP is a failure that only a SIP peer can cause: the condition is the one
// that its status stands for.
func localSIP(status int, text string) *Failure {
	f := &Failure{Status: status, Text: text}
	f.Condition, f.Type = Default.Condition(status)
	return f
}
