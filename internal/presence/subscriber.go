package presence

import (
	"time"

	"github.com/stoxgw/stox/mapping"
)

// The gateway as subscriber: an XMPP user watches a SIP contact (RFC 8048 §5.2).

// subscriber is what the role has for all relations. The engine's mutex guards it.
type subscriber struct{}

func newSubscriber(now time.Time) subscriber { return subscriber{} }

// subscription is a user's subscription to a contact as SIP sees it: the dialog there is,
// or what is awaited.
type subscription struct{ relation *relation }

// subscribing is a SUBSCRIBE on its way.
type subscribing struct{ s *subscription }

func (*subscribing) presence() {}

// subscribe takes a user's wish to see a contact. e.mu is held.
func (e *Engine) subscribe(out *work, v *mapping.XMPPPresence) {}

// unsubscribe takes the end of it. e.mu is held.
func (e *Engine) unsubscribe(out *work, v *mapping.XMPPPresence) {}

// probe answers the question how a contact is. e.mu is held.
func (e *Engine) probe(out *work, v *mapping.XMPPPresence) {}

// session takes that a device of a user has come or gone. e.mu is held.
func (e *Engine) session(out *work, v *mapping.XMPPPresence) {}

// subscribed takes what became of a SUBSCRIBE. e.mu is held.
func (e *Engine) subscribed(out *work, ref *subscribing, o mapping.Outcome) {}

// takeNotify takes a NOTIFY. e.mu is held.
func (e *Engine) takeNotify(out *work, ref any, v *mapping.SIPNotify) {
	out.refuse(ref, mapping.FailNoDialog())
}

// subscriberLinkUp has the contacts of a component name shown again. e.mu is held.
func (e *Engine) subscriberLinkUp(out *work, name mapping.JID) {}

// subscriberFarewell has nobody shown any more. e.mu is held.
func (e *Engine) subscriberFarewell(out *work) {}
