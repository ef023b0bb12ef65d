package bridge

import (
	"errors"

	"github.com/stoxgw/stox/mapping"
)

// Blocks tells whom nobody wants to hear of. It is asked for every message, in both
// directions, and so at once.
type Blocks interface {
	// Blocked reports whether a user, bare, has blocked a SIP address, or an admin has.
	Blocked(user mapping.JID, sip mapping.URI) bool
	// BlockedForAll reports whether an admin has.
	BlockedForAll(sip mapping.URI) bool
	// BlockedUser reports whether an admin has blocked an XMPP user, who is then none of
	// those whom Access allows.
	BlockedUser(user mapping.JID) bool
}

// Denied are messages that were not taken because somebody does not want them to be sent,
// since New.
type Denied struct {
	Prefix   uint64 // to numbers that may not be dialled
	Daily    uint64 // beyond what their senders may send on one day
	Blocked  uint64 // of users who are blocked, or to contacts that are
	Unwanted uint64 // requests of contacts that are blocked
}

func (d *Denied) add(more *Denied) {
	d.Prefix += more.Prefix
	d.Daily += more.Daily
	d.Blocked += more.Blocked
	d.Unwanted += more.Unwanted
}

// blockedSender is the Failure of a message from whoever may not use the gateway.
func (p *Policy) blockedSender(out *work, from mapping.JID) *mapping.Failure {
	if p.Blocks != nil && p.Blocks.BlockedUser(from) {
		out.denied.Blocked++
		return mapping.FailBlockedUser()
	}
	return mapping.FailForbidden()
}

// blocks reports whether nothing goes from a user to a SIP address, or back.
func (p *Policy) blocks(user mapping.JID, sip mapping.URI) bool {
	return p.Blocks != nil && p.Blocks.Blocked(user.Bare(), sip)
}

// blockedContact is the Failure of a message to a contact that its sender, or an admin, has
// blocked; nil if none has.
func (p *Policy) blockedContact(out *work, o *outbound) *mapping.Failure {
	to := o.message().RequestURI
	if !p.blocks(o.sender, to) {
		return nil
	}
	out.denied.Blocked++
	if p.Blocks.BlockedForAll(to) {
		return mapping.FailBlockedAddress()
	}
	return mapping.FailBlocked()
}

// Why a request of a contact is not taken.
var (
	errBlocked = errors.New("bridge: an admin has blocked the sender")
	errIgnored = errors.New("bridge: the recipient has blocked the sender")
)

// unwanted is the error for a request whose stanzas would come from whoever the recipient has
// blocked, nil if they would not. An admin's block is told as a sender is told so who is none
// of our peers. A user's own is not told: what is answered is what a server says of users who
// do not exist (SEC-13).
func (p *Policy) unwanted(stanzas []mapping.XMPP, from mapping.URI) error {
	if p.Blocks == nil {
		return nil
	}
	if p.Blocks.BlockedForAll(from) {
		return errBlocked
	}
	for _, v := range stanzas {
		if to := recipientOf(v); !to.IsZero() && p.Blocks.Blocked(to.Bare(), from) {
			return errIgnored
		}
	}
	return nil
}

// recipientOf is to whom a stanza is that was made of a request; zero if to nobody.
func recipientOf(v mapping.XMPP) mapping.JID {
	switch x := v.(type) {
	case *mapping.XMPPMessage:
		return x.To
	case *mapping.IMDN:
		return x.To
	case *mapping.XMPPState:
		return x.To
	}
	return mapping.JID{}
}

// ignore answers a request of a contact that its recipient has blocked: a notification as one
// of which nothing is known, anything else as if there were no such user.
func (b *Bridge) ignore(out *work, in *incoming, p *Policy, stanzas []mapping.XMPP) {
	for _, v := range stanzas {
		if n, ok := v.(*mapping.IMDN); ok {
			in.notice = n
			out.answers = append(out.answers, mapping.Result{Ref: in.ref, Outcome: mapping.Outcome{Kind: mapping.Processed}})
			return
		}
	}
	b.refuseSIP(out, in, p.failureToSIP(mapping.FailUnavailable(), in.host), "reason", "blocked by the recipient")
}
