package presence

// restoreDialog takes a dialog that an earlier run has kept: the first byte of its Data says
// which role's it is. e.mu is held.
func (e *Engine) restoreDialog(out *work, d Dialog) {
	if len(d.Data) == 0 {
		return
	}
	switch d.Data[0] {
	case dialogOfSubscriber:
		e.restoreSubscription(out, d)
	case dialogOfNotifier:
		e.restoreWatcher(out, d)
	case dialogOfPublisher:
		e.restorePublication(out, d)
	}
}

// The roles, as the first byte of Dialog.Data.
const (
	dialogOfSubscriber = 's'
	dialogOfNotifier   = 'n'
	dialogOfPublisher  = 'p' // a publication
)
