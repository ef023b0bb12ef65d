package presence

import "slices"

// notifierPolicy ends what the policy does not let be any more: who watches is told so now and
// not when he refreshes, up to an hour later. What is known of the user is forgotten, since
// nothing that he shows is looked at from now on. e.mu is held.
func (e *Engine) notifierPolicy(out *work) {
	for _, r := range e.relations.all {
		if len(r.watchers) == 0 && len(r.devices.known) == 0 || out.policy.lets(r.pair) {
			continue
		}
		e.unknown(r)
		for _, w := range slices.Clone(r.watchers) {
			e.endWatcher(out, w, reasonRejected)
		}
	}
}
