// Package bridge holds what happens between the two sides: the two flows, the
// order in which messages leave, and what the sender is told in the end.
//
// It knows neither XMPP nor SIP, only the values of package mapping, and speaks
// to the two sides and to the store through the small interfaces XMPPSide, SIPSide
// and Journal.
//
// The life of a message XMPP -> SIP:
//
//	FromXMPP     access, rates, translation, a row in the journal, a place in a lane
//	formats      the form in which the contact's user agent takes it
//	lanes        one request pending per destination; in turn between senders
//	SIPSide      Deliver; the result comes back through SIPOutcomes
//	SIPOutcomes  a 2xx ends it; what may be tried again is (retry.go)
//	report       anything else becomes one error stanza, which ends the row when
//	             it has reached its server
//
// and SIP -> XMPP:
//
//	FromSIP      translation, access, a stanza id made from the request's identity
//	talks        the thread that a Call-ID stands for (conversations.go), in both flows
//	repeats      join the pending request, or get the outcome of the finished one
//	XMPPSide     Deliver; the result comes back through XMPPOutcomes
//	XMPPOutcomes the outcome answers the SIP transaction
//	late         an error that comes after the answer is heard once
//
// and what is said about messages afterwards:
//
//	receipts     what their senders want to be told, and were (receipts_sip.go, receipts_xmpp.go)
//	lookup       what is not in memory any more
//	composing    who is typing: in memory only, and never in the way of a message
//
// and what users and contacts are to each other:
//
//	contacts     who has met whom, kept by the ContactBook
//	presence     what subscriptions and presence are answered with
//	welcome      how the gateway is used; contacts that are introduced
//
// # Concurrency
//
// Run does what time demands, and reads from the journal; a goroutine that it waits for
// reads from the trail. There are no others.
// All other methods may be called from any goroutine, return at once, and may call
// the two sides before they return; the sides therefore must not call the bridge
// while they hold a lock, and must not report outcomes from within Deliver. RetryNow
// and Drop, for the operator, read the disk. One mutex guards everything; it is held
// while rows are handed to the journal, which must not wait for the disk then, nor
// call the bridge from within.
package bridge
