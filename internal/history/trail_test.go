package history

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stoxgw/stox/mapping"
)

func event(id string, ms int, kind, detail string) TrailEvent {
	return TrailEvent{ID: id, CallID: "c-" + id, At: after(ms), Kind: kind, Detail: detail}
}

// The trail of messages, as the bridge writes it, becomes what a book has of them.
func TestFromTrail(t *testing.T) {
	const juliet, romeo = "juliet@example.com/balcony", "romeo@sip.example.com"
	for _, c := range []struct {
		name   string
		events []TrailEvent
		want   Message
	}{
		{"delivered to SIP", []TrailEvent{
			event("a", 12, "delivered", "xmpp-sip juliet@example.com/balcony -> romeo@sip.example.com 200 after 12 ms"),
			event("a", 12, "asked", "xmpp-sip juliet@example.com/balcony -> romeo@sip.example.com contact=x&type=&user=y&wants=z"),
			event("a", 900, "receipt", "xmpp-sip juliet@example.com/balcony -> romeo@sip.example.com delivered"),
		}, Message{User: juliet, Contact: romeo, Outcome: Delivered, Status: 200,
			Steps: []Step{{After: 12 * time.Millisecond, Kind: Answer, Status: 200}, {After: 900 * time.Millisecond, Kind: Receipt, Text: "delivered"}}}},
		{"in parts, tried again", []TrailEvent{
			event("a", 0, "split", "xmpp-sip juliet@example.com/balcony -> romeo@sip.example.com in 2 parts: it is too long for one request"),
			event("a", 10, "part", "xmpp-sip juliet@example.com/balcony -> romeo@sip.example.com part 1 of 2: 200 after 10 ms"),
			event("a", 20, "retry", "xmpp-sip juliet@example.com/balcony -> romeo@sip.example.com resource-constraint: 503 Service Unavailable"),
			event("a", 30, "delivered", "xmpp-sip juliet@example.com/balcony -> romeo@sip.example.com part 2 of 2: 200 after 30 ms, request 2"),
		}, Message{User: juliet, Contact: romeo, Outcome: Delivered, Status: 200, Steps: []Step{
			{Kind: Split, Text: "in 2 parts: it is too long for one request"},
			{After: 10 * time.Millisecond, Kind: Answer, Status: 200, Text: "part 1 of 2: 200 after 10 ms"},
			{After: 20 * time.Millisecond, Kind: Retry, Text: "resource-constraint: 503 Service Unavailable"},
			{After: 30 * time.Millisecond, Kind: Answer, Status: 200},
		}}},
		{"failed", []TrailEvent{
			event("a", 0, "failed", "xmpp-sip juliet@example.com/balcony -> romeo@sip.example.com item-not-found: 404 Not Found"),
			event("a", 3, "reported", "xmpp-sip juliet@example.com/balcony -> romeo@sip.example.com"),
		}, Message{User: juliet, Contact: romeo, Outcome: Failed, Reason: "item-not-found: 404 Not Found",
			Steps: []Step{{Kind: Told, Text: "item-not-found: 404 Not Found"}, {After: 3 * time.Millisecond, Kind: Reported}}}},
		{"refused, without a condition", []TrailEvent{
			event("a", 0, "refused", "xmpp-sip juliet@example.com/balcony -> romeo@sip.example.com: no more"),
		}, Message{User: juliet, Contact: romeo, Known: true, Outcome: Denied, Reason: "no more", Steps: []Step{{Kind: Refused, Text: "no more"}}}},
		{"delivered to XMPP", []TrailEvent{
			event("b", 5, "delivered", "sip-xmpp sip:romeo@example.net -> juliet@example.com 200 5 ms"),
			event("b", 6, "repeated", "sip-xmpp sip:romeo@example.net -> juliet@example.com 200 0 ms"),
			event("b", 9, "late", "sip-xmpp romeo@sip.example.com -> juliet@example.com service-unavailable"),
		}, Message{FromSIP: true, User: "juliet@example.com", SIP: "sip:romeo@example.net", Outcome: Delivered, Status: 200, Steps: []Step{
			{After: 5 * time.Millisecond, Kind: Answered, Status: 200}, {After: 6 * time.Millisecond, Kind: Repeated, Status: 200, Text: "200 0 ms"},
			{After: 9 * time.Millisecond, Kind: Late, Text: "service-unavailable"},
		}}},
		{"bounced", []TrailEvent{
			event("b", 7, "failed", "sip-xmpp sip:romeo@example.net -> juliet@example.com 480 recipient-unavailable 7 ms"),
		}, Message{FromSIP: true, User: "juliet@example.com", SIP: "sip:romeo@example.net", Outcome: Failed, Status: 480, Condition: "recipient-unavailable",
			Steps: []Step{{After: 7 * time.Millisecond, Kind: Answered, Status: 480, Condition: "recipient-unavailable"}}}},
		{"of the operator", []TrailEvent{event("d", 0, "operator", "retry: it is tried again now")},
			Message{Outcome: Open, Steps: []Step{{Kind: Event, Text: "operator: retry: it is tried again now"}}}},
		{"of a later version", []TrailEvent{event("d", 0, "sung", "xmpp-sip a@b -> c@d aloud")},
			Message{User: "a@b", Contact: "c@d", Outcome: Open, Steps: []Step{{Kind: Event, Text: "sung: aloud"}}}},
	} {
		got := Messages(c.events)
		if len(got) != 1 {
			t.Errorf("%s: %d messages", c.name, len(got))
			continue
		}
		c.want.Key, c.want.ID, c.want.CallID, c.want.Read = got[0].Key, c.events[0].ID, c.events[0].CallID, start
		if diff := cmp.Diff(c.want, got[0]); diff != "" {
			t.Errorf("%s: -want +got\n%s", c.name, diff)
		}
	}
}

// However a sender chooses the resources that are in an event, it is not shown to another user.
func TestTrailOfHostileAddresses(t *testing.T) {
	b := NewBook(start)
	b.Put(FromTrail([]TrailEvent{
		event("a", 0, "failed", "xmpp-sip eve@example.com/x -> y@z 200 after 1 ms -> romeo@sip.example.com item-not-found: 404"),
		event("b", 0, "delivered", "xmpp-sip eve@example.com/sip-xmpp sip:a@b -> juliet@example.com 200 1 ms -> romeo@sip.example.com 200 after 1 ms"),
		event("c", 0, "delivered", "xmpp-sip eve@example.com -> romeo@sip.example.com/ -> juliet@example.com 200 after 1 ms"),
		event("d", 0, "operator", "sip-xmpp sip:a@b"),
		event("e", 0, "delivered", ""),
	}, nil))
	if got := ids(b.OfUser(mapping.MustParseJID("juliet@example.com"), 10)); len(got) != 0 {
		t.Errorf("juliet is shown %v", got)
	}
	if got := ids(b.OfUser(mapping.MustParseJID("eve@example.com"), 10)); !cmp.Equal(got, []string{"c", "b", "a"}) {
		t.Errorf("eve is shown %v", got)
	}
}

// A message from SIP goes on under the number that it had.
func TestTrailNumbers(t *testing.T) {
	b := NewBook(start)
	b.Put(FromTrail([]TrailEvent{event("b", 5, "delivered", "sip-xmpp sip:romeo@example.net -> juliet@example.com 200 5 ms")},
		func(id string) (uint64, bool) { return 1<<63 | 77, id == "b" }))
	n := toSIP(1<<63|77, 900, Repeated)
	b.Put([]Note{n})
	if m, _ := b.Get(keyOf(1<<63 | 77)); len(m.Steps) != 2 || m.User != "juliet@example.com" {
		t.Errorf("%+v", m)
	}
}
