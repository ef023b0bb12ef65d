package bridge

import (
	"net/url"
	"strings"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// Receipts (XEP-0184), markers (XEP-0333) and notifications (RFC 5438) say of a message
// that it has arrived, that it was read, or that it has not arrived after all. Each is
// carried over if the sender of the message wants to know, once, and never one that
// contradicts another: what has arrived is not an error any more, and the other way round
// (IM-48). No receipt is ever wanted for one of them (IM-45).
//
// For that a message has to be remembered: the last of them in memory, and all of them in
// the trail, as long as that is kept. The trail has its own event for what a message wants
// (eventAsked) and one for each thing that was told (eventReceipt), so that a restart makes
// no difference, but for what the last second before a kill has lost. Who is not remembered
// at all is met with silence: there is nothing to be said to somebody who sends a receipt
// for a message that never was.
//
// receipts_sip.go has the messages from SIP, receipts_xmpp.go those from XMPP.

const (
	eventAsked   = "asked"   // its sender wants to be told what becomes of it
	eventReceipt = "receipt" // the sender was told
)

const (
	recentFor   = 24 * time.Hour // messages are remembered at least so long, if there is room
	recentBytes = 4 << 20        // of a generation

	maxWantedID = 255 // bytes of the id of a message; the trail keeps no longer ones
	maxDetail   = 512 // bytes that the trail keeps of an event
)

// receipts has the messages whose senders want to be told. The bridge's mutex guards it.
type receipts struct {
	fromSIP  recent[stanzaKey, *asked]
	fromXMPP recent[wishKey, *wish]
	shared   names // of messages from XMPP of which nobody is told
}

// recent is a table of two generations: when the young one is full or old, it becomes the
// old one, and what was in that is forgotten. The zero value is empty.
type recent[K comparable, V any] struct {
	young, old map[K]V
	size       int // of the young one, in bytes, about
	turned     time.Time
}

func (r *recent[K, V]) get(k K) (v V, ok bool) {
	if v, ok = r.young[k]; !ok {
		v, ok = r.old[k]
	}
	return v, ok
}

// put keeps v, of about so many bytes, in the place of what was there for k.
func (r *recent[K, V]) put(k K, v V, size int, now time.Time) {
	switch age := now.Sub(r.turned); {
	case r.young == nil:
		r.young, r.turned = make(map[K]V), now
	case age >= 2*recentFor:
		r.young, r.old, r.size, r.turned = make(map[K]V), nil, 0, now
	case age >= recentFor || r.size >= recentBytes:
		r.young, r.old, r.size, r.turned = make(map[K]V), r.young, 0, now
	}
	delete(r.old, k)
	r.young[k] = v
	r.size += size
}

func (r *recent[K, V]) drop(k K) {
	delete(r.young, k)
	delete(r.old, k)
}

// keepable reports whether an address is short enough to be remembered in full.
func keepable(j mapping.JID) bool { return memorable(j) && len(j.Resource()) <= maxDeviceLen }

// contradicts reports whether what cannot be told any more after all that was told: nothing
// twice, nothing after a failure, no failure after anything else.
func contradicts(told, what mapping.Notice) bool {
	return told.Has(what) || told.Has(mapping.NoticeFailed) || what == mapping.NoticeFailed && told != 0
}

// The Detail of an eventAsked is for people up to the last space, and for the gateway
// behind it, where nothing has a space.

// askedEvent is the event of a message that is later found by id or other. It is not there
// if it would not be whole in the trail.
func (w *work) askedEvent(id, other, way string, values values) {
	detail := values.appendTo(append(append(make([]byte, 0, maxDetail), way...), ' '))
	if len(detail) <= maxDetail && len(other) <= maxWantedID {
		w.add(Event{ID: id, Other: other, At: w.now, Kind: eventAsked, Detail: string(detail)})
	}
}

// receiptEvent notes what the sender of that message was told.
func (w *work) receiptEvent(id, other, way string, what mapping.Notice) {
	w.add(Event{ID: id, Other: other, At: w.now, Kind: eventReceipt, Detail: way + " " + what.String()})
}

// values are url.Values in the order of their keys, as they are written.
type values []value

type value struct{ key, value string }

// appendTo is url.Values.Encode.
func (vs values) appendTo(b []byte) []byte {
	for i, v := range vs {
		if i > 0 {
			b = append(b, '&')
		}
		b = appendEscaped(append(append(b, v.key...), '='), v.value)
	}
	return b
}

// appendEscaped is url.QueryEscape.
func appendEscaped(b []byte, s string) []byte {
	const hex = "0123456789ABCDEF"
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.', c == '~':
			b = append(b, c)
		case c == ' ':
			b = append(b, '+')
		default:
			b = append(b, '%', hex[c>>4], hex[c&15])
		}
	}
	return b
}

// values are those of an eventAsked of that direction; false if it is none.
func (e *Event) values(dir string) (url.Values, bool) {
	if e.Kind != eventAsked || !strings.HasPrefix(e.Detail, dir+" ") {
		return nil, false
	}
	v, err := url.ParseQuery(e.Detail[strings.LastIndexByte(e.Detail, ' ')+1:])
	return v, err == nil
}

// told is what an event says that a sender was told.
func (e *Event) told(dir string) mapping.Notice {
	if e.Kind != eventReceipt || !strings.HasPrefix(e.Detail, dir+" ") {
		return 0
	}
	return mapping.ParseNotice(e.Detail[strings.LastIndexByte(e.Detail, ' ')+1:])
}

const (
	dirFromSIP  = "sip-xmpp"
	dirFromXMPP = "xmpp-sip"
)
