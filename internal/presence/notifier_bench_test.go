package presence

import (
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"testing"

	"github.com/stoxgw/stox/mapping"
)

// BenchmarkWatchers tells how many bytes a dialog of a watcher takes, with its relation and
// what one device of its user shows, as B/dialog.
func BenchmarkWatchers(b *testing.B) {
	const users, contacts = maxWatchersBy, 150
	for b.Loop() {
		side := &fakeSide{}
		e := New(fakeXMPP{side}, fakeSIP{side}, Options{Policy: testPolicy(b)}, slog.New(slog.NewTextHandler(io.Discard, nil)))
		before := heapInUse()
		for u := range users {
			for c := range contacts {
				user, contact := mapping.MustParseJID(fmt.Sprintf("user%d@example.com", u)), mapping.MustParseJID(fmt.Sprintf("contact%d@example.net", c))
				e.FromXMPP([]mapping.XMPP{&mapping.XMPPPresence{From: user, To: contact, Type: mapping.Subscribed}})
				shower, err := user.WithResource("yn0cl4bnw0yr3vym")
				if err != nil {
					b.Fatal(err)
				}
				e.FromXMPP([]mapping.XMPP{&mapping.XMPPPresence{From: shower, To: contact, Shows: &mapping.Resource{Show: mapping.ShowAway, Status: []mapping.Text{{Value: "in the garden"}}}}})
				uri := mapping.MustParseURI("sip:" + user.String())
				e.FromSIP([]mapping.Parcel[mapping.SIP]{{Value: &mapping.SIPSubscribe{Expires: 3600, SIPEvent: mapping.SIPEvent{
					RequestURI: uri, To: uri, From: mapping.MustParseURI("sip:" + contact.String()), FromTag: "a73kszlfl", CallID: fmt.Sprintf("1j9FpLxk3uxtm8tn%d-%d@192.0.2.1", u, c),
					Contact: mapping.MustParseURI("sip:contact@192.0.2.1:5060;transport=tcp"), RemoteTarget: "sip:contact@192.0.2.1:5060;transport=tcp;ob",
					Routes: []string{"<sip:proxy.example.net;lr;ftag=a73kszlfl>"}, Package: "presence", Peer: fmt.Sprint("192.0.2.", c%8), CSeq: 1,
				}}}})
			}
		}
		*side = fakeSide{} // what has been handed over is theirs
		after := heapInUse()
		if got := e.Tally(); got.Watchers != users*contacts || got.Devices != users*contacts {
			b.Fatalf("counted %+v", got)
		}
		b.ReportMetric(float64(after-before)/float64(users*contacts), "B/dialog")
		runtime.KeepAlive(e)
	}
}

// heapInUse is how many bytes are in use.
func heapInUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
