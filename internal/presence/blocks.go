package presence

import (
	"slices"

	"github.com/stoxgw/stox/mapping"
)

// Who has blocked whom. A contact that a user has blocked is to the engine one that he has
// never let see him, and of which he is not shown anything, whatever the two had agreed upon
// before: that holds again when the block is taken back. The contact is not told. It sees what
// anybody sees who asks for the presence of a user who has not decided, or whom there is not
// (SEC-13): its subscription ends as if the user had ended it, and a new one is pending.
//
// What an admin has blocked is told so, as are those who may not use the gateway.

// Blocks tells whom nobody wants to hear of.
type Blocks interface {
	// Any reports whether a user, bare, or an admin has blocked anything that Blocked knows.
	Any(user mapping.JID) bool
	// Blocked reports whether a user, bare, has blocked a SIP address, or an admin has.
	Blocked(user mapping.JID, sip mapping.URI) bool
	// BlockedForAll reports whether an admin has.
	BlockedForAll(sip mapping.URI) bool
}

// ignores reports whether a user has blocked a contact.
func (p *Policy) ignores(who pair) bool {
	if p.Blocks == nil || !p.Blocks.Any(who.user) {
		return false
	}
	contact, err := p.Rules.SIPAddress(who.contact)
	return err == nil && p.Blocks.Blocked(who.user, contact)
}

// blocked reports whether an admin has blocked a contact.
func (p *Policy) blocked(contact mapping.URI) bool {
	return p.Blocks != nil && p.Blocks.BlockedForAll(contact)
}

// tells reports whether a user may be told of the presence of a contact.
func (p *Policy) tells(who pair) bool { return p.lets(who) && !p.ignores(who) }

// sees reports whether the user lets the contact of r see him, and has not blocked it.
func (r *relation) sees(p *Policy) bool { return r.granted() && !p.ignores(r.pair) }

// BlocksChanged has it take effect at once that a user, bare, has blocked something else than
// before; with a zero user that an admin has.
func (e *Engine) BlocksChanged(user mapping.JID) {
	out := e.lock()
	for _, r := range e.relations.all {
		if user.IsZero() || r.user == user {
			e.blockOrNot(out, r)
		}
	}
	e.unlock(out)
}

// blockOrNot has r be as it is to be by what is blocked now. e.mu is held.
func (e *Engine) blockOrNot(out *work, r *relation) {
	lets, sees := out.policy.lets(r.pair), r.sees(out.policy)
	if !lets || !sees {
		e.unknown(r)
	}
	for _, w := range slices.Clone(r.watchers) {
		switch {
		case !lets, w.phase == phaseActive && !sees:
			e.endWatcher(out, w, reasonRejected)
		case w.phase == phasePending && sees:
			e.activateWatcher(out, w)
		}
	}
	if lets && sees && len(r.watchers) > 0 && len(r.devices.known) == 0 {
		e.inquire(out, r)
	}
	s := r.watch
	switch {
	case !lets || out.policy.ignores(r.pair):
		if s != nil {
			e.hide(out, s)
		}
	case r.state&(WatchPending|WatchGranted) == 0 || s != nil && s.known:
	case s == nil:
		e.watch(out, r)
	case s.published:
		e.publishes(out, s)
	case s.remoteTag != "" && s.open == nil && s.queued == nil && !e.closing: // what it has said meanwhile was not heard
		e.enqueue(out, s)
	default:
		e.wanted(out, s)
	}
}
