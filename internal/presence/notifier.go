package presence

import (
	"time"

	"github.com/stoxgw/stox/mapping"
)

// The gateway as notifier: a SIP contact watches an XMPP user (RFC 8048 §5.3).

// notifier is what the role has for all relations. The engine's mutex guards it.
type notifier struct{}

func newNotifier(now time.Time) notifier { return notifier{} }

// watcher is a dialog with a user agent of a contact.
type watcher struct{ relation *relation }

// devices is what a user shows to a contact, by resource.
type devices struct{}

// notifying is a NOTIFY on its way.
type notifying struct{ w *watcher }

func (*notifying) presence() {}

// asking is a subscription request to a user on its way.
type asking struct{ relation *relation }

func (*asking) presence() {}

// takeSubscribe takes a SUBSCRIBE. e.mu is held.
func (e *Engine) takeSubscribe(out *work, ref any, v *mapping.SIPSubscribe) {
	out.refuse(ref, mapping.FailNoDialog())
}

// approved takes that a user lets a contact see him. e.mu is held.
func (e *Engine) approved(out *work, v *mapping.XMPPPresence) {}

// declined takes that he does not, or no longer. e.mu is held.
func (e *Engine) declined(out *work, v *mapping.XMPPPresence) {}

// shown takes what a user shows to a contact. e.mu is held.
func (e *Engine) shown(out *work, v *mapping.XMPPPresence) {}

// unreachable takes the error that answers a stanza of ours. e.mu is held.
func (e *Engine) unreachable(out *work, v *mapping.XMPPPresence) {}

// notified takes what became of a NOTIFY. e.mu is held.
func (e *Engine) notified(out *work, ref *notifying, o mapping.Outcome) {}

// asked takes what became of a subscription request. e.mu is held.
func (e *Engine) asked(out *work, ref *asking, o mapping.Outcome) {}

// notifierLinkUp has the users of a component name asked again how they are. e.mu is held.
func (e *Engine) notifierLinkUp(out *work, name mapping.JID) {}
