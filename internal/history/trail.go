package history

import (
	"hash/fnv"
	"strconv"
	"strings"
	"time"
)

// TrailEvent is what a trail has kept of a step in the life of a message.
type TrailEvent struct {
	ID     string // of the stanza
	CallID string
	At     time.Time
	Kind   string
	Detail string // for people: "xmpp-sip juliet@example.com/x -> romeo@sip.example.com 200 after 12 ms"
}

// FromTrail makes notes of events, in their order, so that a Book knows again what was before
// a restart. The trail has less than a Book: of most messages their end only. number is that
// of a message from SIP, by the id of its stanza; where it returns false, or is nil, one is
// made up.
//
// Of the addresses in an event the user is certain, whatever else its sender has put into the
// rest: a bare JID has no space.
func FromTrail(events []TrailEvent, number func(stanza string) (uint64, bool)) []Note {
	notes := make([]Note, 0, len(events))
	for i := range events {
		if n, ok := events[i].note(); ok {
			n.Key = events[i].key(n.FromSIP)
			if number != nil && n.FromSIP {
				if key, ok := number(n.ID); ok {
					n.Key = key
				}
			}
			notes = append(notes, n)
		}
	}
	return notes
}

// Messages are those of events, the newest first.
func Messages(events []TrailEvent) []Message {
	if len(events) == 0 {
		return nil
	}
	b := newBook(events[0].At, 100, MaxBytes)
	b.Put(FromTrail(events, nil))
	found, _ := b.Find(Query{Limit: 100})
	return found
}

// madeUp is in the keys that are made up, and in no others: rows have smaller numbers, and
// messages from SIP the bit over it.
const madeUp = 3 << 61

func (e *TrailEvent) key(fromSIP bool) uint64 {
	h := fnv.New64a()
	for _, s := range []string{strconv.FormatBool(fromSIP), e.ID, e.CallID} {
		_, _ = h.Write([]byte(s))
		_, _ = h.Write([]byte{0})
	}
	return h.Sum64()>>3 | madeUp
}

// note is false for what is for the gateway rather than for people.
func (e *TrailEvent) note() (n Note, ok bool) {
	if e.Kind == "asked" {
		return n, false
	}
	n = Note{At: e.At, ID: e.ID, CallID: e.CallID, Kind: Event, Text: e.Kind}
	dir, rest, _ := strings.Cut(e.Detail, " ")
	from, rest, whole := strings.Cut(rest, " -> ")
	if !whole || dir != "xmpp-sip" && dir != "sip-xmpp" {
		n.Text = e.Kind + ": " + e.Detail
		return n, true
	}
	to, rest, _ := strings.Cut(rest, " ")
	to = strings.TrimSuffix(to, ":")
	if n.FromSIP = dir == "sip-xmpp"; n.FromSIP {
		n.User, n.SIP = to, from
		if !strings.HasPrefix(from, "sip:") && !strings.HasPrefix(from, "tel:") { // a receipt, or a late error
			n.SIP, n.Contact = "", from
		}
	} else {
		n.User, n.Contact = from, to
	}
	e.read(&n, rest)
	return n, true
}

// read adds to n what its kind and the end of the Detail say.
func (e *TrailEvent) read(n *Note, rest string) {
	n.Status = statusIn(rest)
	if took, ok := tookIn(rest); ok {
		n.Read = e.At.Add(-took)
	}
	final := Answer
	if n.FromSIP {
		final = Answered
	}
	switch e.Kind {
	case Delivered, Unknown:
		n.Kind, n.Outcome, n.Text = final, e.Kind, ""
	case Failed:
		if n.Kind, n.Outcome, n.Text = Told, e.Kind, rest; n.FromSIP {
			n.Kind, n.Text = final, ""
		}
	case Denied:
		n.Kind, n.Outcome, n.Text = Refused, e.Kind, rest
	case Uncertain:
		n.Outcome = e.Kind
		if n.Text += ": " + rest; n.FromSIP {
			n.Kind, n.Text = final, ""
		}
	case "part":
		n.Kind, n.Text = Answer, rest
	case Retry, Split, Late, Receipt, Reported, Untold, Repeated:
		n.Kind, n.Text = e.Kind, rest
	default:
		n.Text = e.Kind + ": " + rest
	}
	if n.FromSIP && n.Outcome != "" { // "404 item-not-found 12 ms"
		if words := strings.Fields(rest); len(words) == 4 {
			n.Condition = words[1]
		}
	}
}

// statusIn is the SIP status that s begins with, or has behind "part 1 of 2: "; 0 without one.
func statusIn(s string) int {
	if part, rest, found := strings.Cut(s, ": "); found && strings.HasPrefix(part, "part ") {
		s = rest
	}
	word, _, _ := strings.Cut(s, " ")
	if n, err := strconv.Atoi(word); err == nil && n >= 100 && n <= 699 {
		return n
	}
	return 0
}

// tookIn is the time in "200 after 12 ms" and "200 12 ms".
func tookIn(s string) (time.Duration, bool) {
	words := strings.Fields(s)
	for i, w := range words[min(1, len(words)):] {
		if strings.TrimSuffix(w, ",") != "ms" {
			continue
		}
		if n, err := strconv.ParseUint(words[i], 10, 32); err == nil {
			return time.Duration(n) * time.Millisecond, true
		}
	}
	return 0, false
}
