// Package bridge holds what happens between the two sides: the two flows, the
// order in which messages leave, and what the sender is told in the end.
//
// It knows neither XMPP nor SIP, only the values of package mapping, and speaks
// to the two sides through the small interfaces XMPPSide and SIPSide.
//
// The life of a message XMPP -> SIP:
//
//	FromXMPP     access, translation, queueing in the lane of its destination
//	lanes        one request pending per destination; in turn between senders
//	SIPSide      Deliver; the result comes back through SIPOutcomes
//	SIPOutcomes  a 2xx ends it; anything else becomes one error stanza
//
// and SIP -> XMPP:
//
//	FromSIP      translation, access, a stanza id made from the request's identity
//	repeats      join the pending request, or get the outcome of the finished one
//	XMPPSide     Deliver; the result comes back through XMPPOutcomes
//	XMPPOutcomes the outcome answers the SIP transaction
//	late         an error that comes after the answer is heard once
//
// # Concurrency
//
// The bridge starts no goroutine. All its methods may be called from any
// goroutine, return at once, and may call the two sides before they return; the
// sides therefore must not call the bridge while they hold a lock, and must not
// report outcomes from within Deliver.
package bridge
