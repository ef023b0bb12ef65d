package presence

// Tally counts what has happened since New.
type Tally struct {
	Relations int // there are now

	Subscribes uint64 // SUBSCRIBE requests that were sent ...
	Failed     uint64 // ... and those that were not accepted
	Notifies   uint64 // NOTIFY requests that were taken ...
	Stale      uint64 // ... and those that belonged to nothing
	Notified   uint64 // NOTIFY requests that were sent
	Refused    uint64 // requests from SIP that were refused
}

// Tally gives the counts.
func (e *Engine) Tally() Tally {
	e.mu.Lock()
	defer e.mu.Unlock()
	t := e.tally
	t.Relations = len(e.relations.all)
	return t
}
