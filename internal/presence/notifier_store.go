package presence

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// A dialog outlives the process, so that a restart is not noticed by who watches: its user
// agent would refresh it up to an hour later, and be told until then that nothing is new.

const (
	watcherForm = 1  // of Data
	cseqAhead   = 64 // NOTIFY requests for each time that it is written down how many there were
)

// key is the name of w in the book.
func (w *watcher) key() string { return string(rune(dialogOfNotifier)) + w.local }

// nextCSeq is the CSeq of the next NOTIFY: greater than all before it, those of earlier runs
// included. e.mu is held.
func (e *Engine) nextCSeq(out *work, w *watcher) uint32 {
	w.ours++
	if w.phase < phaseEnded && w.ours+cseqAhead/2 > w.reserved { // long before it is used: the book writes when it can
		e.keepWatcher(out, w)
	}
	return w.ours
}

// keepWatcher has the book keep w as it is now. e.mu is held.
func (e *Engine) keepWatcher(out *work, w *watcher) {
	w.reserved = w.ours + cseqAhead
	out.dialogs = append(out.dialogs, Dialog{Key: w.key(), Expires: w.until, Data: w.row()})
}

// row is w as it is written down.
func (w *watcher) row() []byte {
	b := []byte{dialogOfNotifier, watcherForm, byte(w.phase)}
	b = binary.AppendUvarint(b, uint64(w.theirs))
	b = binary.AppendUvarint(b, uint64(w.reserved))
	for _, s := range []string{w.relation.user.String(), w.relation.contact.String(), w.callID, w.local, w.remote, w.eventID, w.user, w.gr, w.peer, w.literal} {
		b = appendText(b, s)
	}
	for _, u := range []*mapping.URI{&w.us, &w.them, &w.target} {
		b = appendURI(b, u)
	}
	b = binary.AppendUvarint(b, uint64(len(w.routes)))
	for _, route := range w.routes {
		b = appendText(b, route)
	}
	return b
}

func appendURI(b []byte, u *mapping.URI) []byte {
	for _, s := range []string{u.Scheme, u.User, u.Host, u.GR, u.Transport} {
		b = appendText(b, s)
	}
	phone := uint64(0)
	if u.Phone {
		phone = 1
	}
	return binary.AppendUvarint(b, uint64(u.Port)<<1|phone)
}

var errRow = errors.New("presence: not a dialog in a form that is known")

// readWatcher reads a row. Its relation is a new one, that says only whose it is.
func readWatcher(row []byte) (*watcher, error) {
	r := rowReader{rest: row[1:]}
	w := &watcher{relation: &relation{}}
	if r.byte() != watcherForm {
		return nil, errRow
	}
	w.phase = phase(r.byte())
	w.theirs, w.reserved = uint32(r.number(1<<32-1)), uint32(r.number(1<<31))
	user, contact := r.jid(), r.jid()
	for _, s := range []*string{&w.callID, &w.local, &w.remote, &w.eventID, &w.user, &w.gr, &w.peer, &w.literal} {
		*s = r.text()
	}
	for _, u := range []*mapping.URI{&w.us, &w.them, &w.target} {
		*u = r.uri()
	}
	for range r.number(64) {
		w.routes = append(w.routes, r.text())
	}
	if r.bad || len(r.rest) > 0 || w.phase >= phaseEnded || w.local == "" || user.Local() == "" || contact.Local() == "" {
		return nil, errRow
	}
	w.relation.pair = pair{user.Bare(), contact.Bare()}
	w.ours = w.reserved
	return w, nil
}

func (r *rowReader) jid() mapping.JID {
	j, err := mapping.ParseJID(r.text())
	if err != nil {
		r.bad = true
	}
	return j
}

func (r *rowReader) uri() mapping.URI {
	var u mapping.URI
	for _, s := range []*string{&u.Scheme, &u.User, &u.Host, &u.GR, &u.Transport} {
		*s = r.text()
	}
	n := r.number(1<<17 - 1)
	u.Port, u.Phone = uint16(n>>1), n&1 == 1
	return u
}

// restoreWatcher goes on with a dialog of an earlier run: its user is asked how he is, and
// what he shows is said. One that is over is forgotten; its user agent knows that it is.
// e.mu is held.
func (e *Engine) restoreWatcher(out *work, d Dialog) {
	w, err := readWatcher(d.Data)
	if err == nil && (w.key() != d.Key || e.notifier.dialogs[w.local] != nil) {
		err = errRow
	}
	if err != nil {
		e.log.Warn("a stored dialog cannot be read, and is forgotten", "err", err)
		out.dialogs = append(out.dialogs, Dialog{Key: d.Key})
		return
	}
	// Not later than it can be, whatever a clock had said.
	if w.until = out.now.Add(maxExpires * time.Second); d.Expires.Before(w.until) {
		w.until = out.now.Add(d.Expires.Sub(out.now)) // by the clock that does not jump
	}
	user, contact := w.relation.user, w.relation.contact
	n := &e.notifier
	full := n.total >= maxWatchers || n.from[w.peer] >= maxWatchersFrom || n.by[contact] >= maxWatchersBy
	r := e.relations.find(user, contact)
	if r == nil && !full && w.until.After(out.now) {
		r = e.relations.get(user, contact, true)
	}
	if r == nil || full || len(r.watchers) >= maxWatchersOfPair || !w.until.After(out.now) {
		out.dialogs = append(out.dialogs, Dialog{Key: d.Key})
		return
	}
	w.relation = r
	e.count(w)
	n.dialogs[w.local] = w
	r.watchers = append(r.watchers, w)
	e.at(out, &w.expiry, w.until, func(out *work) { e.endWatcher(out, w, reasonTimeout) })
	switch {
	case !out.policy.lets(r.pair):
		e.endWatcher(out, w, reasonRejected)
	case r.sees(out.policy):
		r.devices.resumed = true
		e.activateWatcher(out, w) // if he has said so as the earlier run ended
		e.inquire(out, r)
	case w.phase == phaseActive, r.state&WatcherDeclined != 0:
		e.endWatcher(out, w, reasonRejected)
	}
}
