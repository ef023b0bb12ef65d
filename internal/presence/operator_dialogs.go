package presence

// info is what an operator is told of a user's dialog with a contact, if there is one. e.mu
// is held.
func (s *subscription) info() (DialogInfo, bool) { return DialogInfo{Direction: Watches}, true }

// info is the same of a dialog with a user agent of the contact. e.mu is held.
func (w *watcher) info() DialogInfo { return DialogInfo{Direction: Watched} }
