package presence

// shows reports whether a contact is shown to the user as available at the moment, by what
// its own subscription says. e.mu is held.
func (e *Engine) shows(r *relation) bool {
	return r.watch != nil && anyOpen(r.watch.shown)
}
