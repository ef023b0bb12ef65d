package presence

import (
	"fmt"
	"log/slog"
	"runtime"
	"testing"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// discard is both sides, and forgets what it is given.
type discard struct{}

func (discard) Deliver([]mapping.Parcel[mapping.SIP])      {}
func (discard) Answer([]mapping.Result)                    {}
func (discardXMPP) Deliver([]mapping.Parcel[mapping.XMPP]) {}

type discardXMPP struct{}

// manyDialogs are n users who watch a contact each, as the book has them.
func manyDialogs(n int) (rs []Relation, ds []Dialog) {
	for i := range n {
		user, contact := mapping.MustParseJID(fmt.Sprintf("user%05d@example.com", i)), mapping.MustParseJID(fmt.Sprintf("contact%05d@example.net", i))
		s := &subscription{pair: pair{user, contact}, callID: fmt.Sprintf("ABCDEFGHIJKLMNOPQRSTU%05d", i), tag: "ABCDEFGHIJKLMNOP", gr: "ABCDEFGHIJKLMNOP",
			from: mapping.MustParseURI("sip:" + user.String()), to: mapping.MustParseURI("sip:" + contact.String()), remoteTag: "a6a1c5f60faecf035a1ae5b6e96e979a",
			remote: "sip:" + contact.Local() + "@192.0.2.10:5060;transport=tcp",
			routes: []string{"<sip:192.0.2.1;lr;ftag=ABCDEFGHIJKLMNOP>"}, peer: "pbx", reserved: 64, theirs: 1, asked: 3600, expires: time.Now().Add(time.Hour)}
		rs = append(rs, Relation{User: user, Contact: contact, State: WatchGranted, Since: time.Now()})
		ds = append(ds, Dialog{Key: s.key(), Expires: s.expires, Data: s.append(nil)})
	}
	return rs, ds
}

// notifyAll has each of them say something.
func notifyAll(e *Engine, n int, cseq uint32, document string) {
	for i := range n {
		v := &mapping.SIPNotify{SIPEvent: mapping.SIPEvent{CallID: fmt.Sprintf("ABCDEFGHIJKLMNOPQRSTU%05d", i), ToTag: "ABCDEFGHIJKLMNOP",
			FromTag: "a6a1c5f60faecf035a1ae5b6e96e979a", CSeq: cseq, Package: "presence", Peer: "pbx"},
			State: mapping.StateActiveSub, Expires: 3600, ContentType: mapping.TypePIDF, Body: []byte(document)}
		e.FromSIP([]mapping.Parcel[mapping.SIP]{{Ref: i, Value: v}})
	}
}

const benchDocument = `<?xml version="1.0" encoding="UTF-8"?><presence xmlns="urn:ietf:params:xml:ns:pidf" entity="pres:romeo@example.net"><tuple id="ID-dr4hcr0st3lup4c"><status><basic>open</basic><show xmlns="jabber:client">away</show></status><note xml:lang="en">in the garden</note></tuple></presence>`

func heapBytes() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// watchedBytes is how much memory each of n subscriptions takes, with what is shown.
func watchedBytes(t testing.TB, n int) uint64 {
	rs, ds := manyDialogs(n)
	before := heapBytes()
	e := New(discardXMPP{}, discard{}, Options{Policy: testPolicy(t)}, slog.New(slog.DiscardHandler))
	e.Restore(rs, ds)
	notifyAll(e, n, 2, benchDocument)
	after := heapBytes()
	if got := e.Tally(); got.Watched != n || got.Notifies != uint64(n) {
		t.Fatalf("counted %+v", got)
	}
	runtime.KeepAlive(rs)
	runtime.KeepAlive(ds)
	return (after - before) / uint64(n)
}

// A subscription is small: there may be a hundred thousand.
func TestMemoryOfSubscriptions(t *testing.T) {
	if got := watchedBytes(t, 5000); got > 2048 {
		t.Errorf("a subscription takes %d bytes", got)
	}
}

func BenchmarkSubscriptions(b *testing.B) {
	for b.Loop() {
		b.ReportMetric(float64(watchedBytes(b, 10_000)), "B/subscription")
	}
}

func BenchmarkNotify(b *testing.B) {
	const n = 1000
	e := New(discardXMPP{}, discard{}, Options{Policy: testPolicy(b)}, slog.New(slog.DiscardHandler))
	e.Restore(manyDialogs(n))
	cseq := uint32(1)
	for b.Loop() {
		cseq++
		notifyAll(e, n, cseq, benchDocument)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/NOTIFY")
}
