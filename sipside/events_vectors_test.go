package sipside

import (
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/mapping"
)

// presenceVector is an exchange of presence.json, as far as it is looked at here.
type presenceVector struct {
	ID    string
	Steps []struct{ Dir, Net, Data string }
}

// shownNames stand for the placeholders.
var shownNames = strings.NewReplacer("${_branch}", "b", "${ftag}", "t1", "${ttag}", "ur93", "${cid}", "c1", "${cseq}", "7", "${_cseq}", "8", "${gr}", "g1", "${_exp}", "3599")

// TestPresenceVectors: the SIP messages of all presence exchanges, each by itself: what comes
// in is taken and answered as it is shown, and the value of what goes out is written as it is
// shown. Who decides what is sent when is somebody else's.
func TestPresenceVectors(t *testing.T) {
	text, err := os.ReadFile("../mapping/testdata/presence.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Vectors []presenceVector }
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	played := make(map[string]int)
	for _, v := range file.Vectors {
		for i, s := range v.Steps {
			if s.Net != "sip" || s.Data == "" {
				continue
			}
			raw := []byte(shownNames.Replace(s.Data))
			shown, n, err := siptest.Parse(raw)
			if err != nil || n != len(raw) {
				t.Fatalf("%s: %v in\n%s", v.ID, err, raw)
			}
			if s.Dir == "out" && shown.Status() != 0 {
				continue // the answer to what came before it
			}
			t.Run(v.ID+" "+strconv.Itoa(i), func(t *testing.T) {
				switch {
				case s.Dir == "in" && shown.Status() == 0:
					var answer *siptest.Message
					for _, next := range v.Steps[i+1:] {
						if next.Dir == "out" && next.Net == "sip" {
							answer, _, _ = siptest.Parse([]byte(shownNames.Replace(next.Data)))
							break
						}
					}
					playIn(t, raw, shown, answer)
					played["in"]++
				case s.Dir == "in":
					playAnswer(t, shown)
					played["answer"]++
				case shown.Status() == 0:
					playOut(t, shown)
					played["out"]++
				}
			})
		}
	}
	for what, least := range map[string]int{"in": 12, "out": 12, "answer": 8} {
		if played[what] < least {
			t.Errorf("%d of %s", played[what], what)
		}
	}
}

// playIn gives a request to a UA, has it answered as it is shown, and compares the value and
// the answer.
func playIn(t *testing.T, raw []byte, shown, answer *siptest.Message) {
	if answer == nil || answer.Status() == 0 {
		t.Fatal("no answer is shown")
	}
	b := newBridge(nil)
	b.reply = func(mapping.SIP) mapping.Outcome {
		a := mapping.EventAnswer{Expires: mapping.NoExpires, Tag: "ur93"}
		if s := answer.Get("Expires"); s != "" {
			a.Expires, _ = strconv.Atoi(s)
		}
		if c := answer.Get("Contact"); c != "" {
			u := mapping.MustParseURI(strings.Trim(c, "<>"))
			a.Contact = mapping.URI{User: u.User, GR: u.GR}
		}
		switch answer.Status() {
		case 200:
			return eventAnswered(200, a)
		case 406:
			return eventRefused(mapping.FailNoForm(), a)
		case 481:
			f := mapping.FailNoDialog()
			f.Reason = "Subscription does not exist"
			return eventRefused(f, a)
		}
		return eventRefused(mapping.FailInternal(nil), a)
	}
	u := vectorUA(t)
	b.ua, u.handler = u, b
	got := responses(t, u.feed(raw, 1000))
	if len(got) != 1 || got[0].First != answer.First {
		t.Fatalf("%d answers, the first %s, want %s", len(got), got[0].First, answer.First)
	}
	for _, f := range answer.Fields {
		if got[0].Get(f.Name) != f.Value {
			t.Errorf("%s: %q, want %q", f.Name, got[0].Get(f.Name), f.Value)
		}
	}
	if answer.Status() == 489 { // nobody is asked
		if b.count() != 0 {
			t.Error("it was handed over")
		}
		return
	}
	// What was handed over is what was shown, if it is written down again.
	var e *mapping.SIPEvent
	var lines eventLines
	switch v := b.event(0).(type) {
	case *mapping.SIPSubscribe:
		e = &v.SIPEvent
		lines.expires(v.Expires)
		if v.Expires == mapping.NoExpires == (shown.Get("Expires") != "") {
			t.Errorf("Expires: %d", v.Expires)
		}
	case *mapping.SIPNotify:
		e = &v.SIPEvent
		lines.state(v)
		if string(v.Body) != string(shown.Body) || v.ContentType != shown.Get("Content-Type") {
			t.Errorf("%q of type %q", v.Body, v.ContentType)
		}
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(lines.b.String(), "\r\n"), "\r\n") {
		if name, value, _ := strings.Cut(line, ": "); shown.Get(name) != value {
			t.Errorf("%s: %q, want %q", name, value, shown.Get(name))
		}
	}
	for name, value := range map[string]string{
		"Call-ID": e.CallID, "Event": e.Package, "Contact": "<" + e.RemoteTarget + ">", "CSeq": strconv.Itoa(int(e.CSeq)) + " " + shown.Method(), "Accept": e.Accept,
		"From": "<" + e.From.String() + ">;tag=" + e.FromTag, "To": strings.TrimSuffix("<"+e.To.String()+">;tag="+e.ToTag, ";tag="),
	} {
		if shown.Get(name) != value {
			t.Errorf("%s: %q, want %q", name, value, shown.Get(name))
		}
	}
	if got, want := e.RequestURI.String(), strings.Fields(shown.First)[1]; got != want {
		t.Errorf("Request-URI %s, want %s", got, want)
	}
}

// playOut writes the value that a shown request is of.
func playOut(t *testing.T, shown *siptest.Message) {
	uri := mapping.MustParseURI
	address := func(name string) (mapping.URI, string) {
		n, ok := parseNameAddr(shown.Get(name))
		if !ok {
			t.Fatalf("%s: %s", name, shown.Get(name))
		}
		return uri(n.uri), n.tag
	}
	number, _, _ := strings.Cut(shown.Get("CSeq"), " ")
	cseq, _ := strconv.Atoi(number)
	target := strings.Fields(shown.First)[1]
	e := mapping.SIPEvent{CallID: shown.Get("Call-ID"), CSeq: uint32(cseq), Package: shown.Get("Event"), RequestURI: uri(target)}
	e.From, e.FromTag = address("From")
	e.To, e.ToTag = address("To")
	if e.ToTag != "" {
		e.RequestURI, e.RemoteTarget = mapping.URI{}, target
	}
	contact, _ := address("Contact")
	e.Contact = mapping.URI{User: contact.User, GR: contact.GR}
	var v mapping.SIP
	switch shown.Method() {
	case "SUBSCRIBE":
		seconds, _ := strconv.Atoi(shown.Get("Expires"))
		v = &mapping.SIPSubscribe{SIPEvent: e, Expires: seconds}
	case "NOTIFY":
		state, params, _ := strings.Cut(shown.Get("Subscription-State"), ";")
		n := &mapping.SIPNotify{SIPEvent: e, State: mapping.SubscriptionState(state), Expires: mapping.NoExpires, ContentType: shown.Get("Content-Type"), Body: shown.Body}
		if name, value, _ := strings.Cut(params, "="); name == "expires" {
			n.Expires, _ = strconv.Atoi(value)
		} else {
			n.Reason = value
		}
		v = n
	}
	raw, f := wireOf(t, vectorUA(t), v, "TCP")
	if f != nil {
		t.Fatal(f)
	}
	got, _, err := siptest.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	if got.First != shown.First || string(got.Body) != string(shown.Body) {
		t.Errorf("%s\n%s\nwant %s\n%s", got.First, got.Body, shown.First, shown.Body)
	}
	for _, f := range shown.Fields {
		if have := strings.Replace(got.Get(f.Name), ";rport;", ";", 1); have != strings.TrimSpace(f.Value) || len(got.All(f.Name)) != 1 {
			t.Errorf("%s: %q, want %q", f.Name, have, f.Value)
		}
	}
}

// playAnswer reads a shown response to a request about events.
func playAnswer(t *testing.T, shown *siptest.Message) {
	var f fields
	f.expires, f.minExpires, f.contacts = shown.Get("Expires"), shown.Get("Min-Expires"), shown.All("Contact")
	o := finalOutcome(methodSubscribe, shown.Status(), shown.First, &f)
	seconds := func(name string, none int) int {
		if shown.Get(name) == "" {
			return none
		}
		n, _ := strconv.Atoi(shown.Get(name))
		return n
	}
	want := strings.Trim(shown.Get("Contact"), "<>")
	if o.Status != shown.Status() || o.Event.Expires != seconds("Expires", mapping.NoExpires) || o.Event.MinExpires != seconds("Min-Expires", 0) || o.Event.RemoteTarget != want {
		t.Errorf("%+v %+v", o, o.Event)
	}
}

// vectorUA is what the exchanges call gw.example.com: it has sockets of UDP and TCP.
func vectorUA(t *testing.T) *UA {
	u := fuzzUA(t)
	s := newUDPSocket(u, nil, memSelf)
	s.sentBy, u.udp = "gw.example.com", []*udpSocket{s}
	return u
}
