package sipside

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/mapping"
)

// The cases of RFC 4475, with messages of our own that have the property of each: here is
// how they are played, the rest of torture_*_test.go are the messages. The RFC has few that
// are a MESSAGE; here most are, as the way to a value is to be tested. Where the method is
// what matters it is that of the RFC, and where both do, also says what the others get.

// tortured is a request and what becomes of it.
type tortured struct {
	name, section string // as in RFC 4475
	what          string // the property
	text          string // see wire
	udp, tcp      fate
	also          map[string]int // the answer to the same request with another method
	is            []string       // what was handed over: "field=value", see field
	has           []string       // header lines of the first answer
	answer        func(*mapping.SIPMessage) mapping.Outcome
	why           string // where the RFC leaves a choice, or we differ
}

// fate is the answers that a request gets, and over TCP what becomes of its connection.
type fate struct {
	statuses []int
	after    string
}

// What becomes of a connection.
const (
	stays = ""                       // the next message is answered
	ends  = "is closed"              // there is no way to find the next message
	waits = "waits for what is left" // the next message is taken for the rest of this one
)

func gets(statuses ...int) fate { return fate{statuses: statuses} }

// wire makes bytes of the text of a case: lines end in CRLF, and {net}, {method}, {branch},
// {length} (of what is behind the first empty line) and {tick} are filled in.
func wire(text, network, method string) string {
	s := strings.ReplaceAll(strings.TrimPrefix(text, "\n"), "\n", "\r\n")
	_, body, _ := strings.Cut(s, "\r\n\r\n")
	return strings.NewReplacer("{net}", strings.ToUpper(network), "{method}", method, "{branch}", fresh(),
		"{length}", strconv.Itoa(len(body)), "{tick}", "`").Replace(s)
}

// field gives a value that was handed over.
func field(m *mapping.SIPMessage, name string) string {
	switch name {
	case "to":
		return m.RequestURI.String()
	case "user":
		return m.RequestURI.User
	case "To":
		return m.To.String()
	case "from":
		return m.From.String()
	case "from user":
		return m.From.User
	case "name":
		return m.Name
	case "tag":
		return m.FromTag
	case "id":
		return m.CallID
	case "cseq":
		return strconv.FormatUint(uint64(m.CSeq), 10)
	case "subject":
		return m.Subject
	case "type":
		return m.ContentType
	case "date":
		return formatDate(m.Date)
	case "expires":
		return m.Expires.String()
	case "body":
		return string(m.Body)
	}
	panic("no field " + name)
}

// last is a good request that follows one of the cases.
const last = "good-as-gold"

// play sends raw, and a good MESSAGE behind it, from memPeer to a UA of its own. It gives
// the answers to raw, what was handed over of it, and what became of the connection.
func play(t *testing.T, network, raw string, answer func(*mapping.SIPMessage) mapping.Outcome) (got fate, answers []*siptest.Message, values []*mapping.SIPMessage) {
	synctest.Test(t, func(t *testing.T) {
		b := newBridge(answer)
		good := siptest.Text("hi", lines(network, fresh(), "Via: SIP/2.0/"+strings.ToUpper(network)+" 192.0.2.9;branch="+fresh(), "Call-ID: "+last)...)
		var out string
		var u *UA
		if network == "udp" {
			var m *memNet
			u, m = memUA(t, testConfig(), b)
			m.in <- packet{b: []byte(raw), to: memPeer}
			m.in <- packet{b: []byte(good), to: memPeer}
			synctest.Wait()
			for _, p := range m.all() {
				if p.to.Addr() != memPeer.Addr() {
					t.Errorf("an answer goes to %v", p.to)
				}
				out += string(p.data)
			}
		} else {
			var l *memListener
			u, l, _ = memTCP(t, testConfig(), b)
			c := l.dial(memPeer)
			all := readAll(c)
			go func() { // it may be closed in the middle
				io.WriteString(c, raw)
				io.WriteString(c, good)
			}()
			synctest.Wait()
			out = all()
			c.Close()
		}
		out, closed := strings.CutSuffix(out, "<end>")
		got.after = waits
		if closed {
			got.after = ends
		}
		for _, m := range responses(t, []byte(out)) {
			if m.Get("Call-ID") == last && m.Status() == 200 {
				got.after = stays
				continue
			}
			answers, got.statuses = append(answers, m), append(got.statuses, m.Status())
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, m := range b.requests {
			if m.CallID != last {
				values = append(values, m)
			}
		}
		if n := u.stats.Panics.Load(); n != 0 {
			t.Errorf("%d panics", n)
		}
	})
	return got, answers, values
}

// check plays a case over both networks.
func (c *tortured) check(t *testing.T) {
	answer := c.answer
	if answer == nil {
		answer = processed
	}
	for _, network := range []string{"udp", "tcp"} {
		want := map[string]fate{"udp": c.udp, "tcp": c.tcp}[network]
		raw := wire(c.text, network, "MESSAGE")
		got, answers, values := play(t, network, raw, answer)
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: got %v, want %v for\n%s", network, got, want, raw)
			continue
		}
		for _, h := range c.has {
			name, value, _ := strings.Cut(h, ": ")
			if len(answers) == 0 || answers[0].Get(name) != value {
				t.Errorf("%s: %s is not %q in %v", network, name, value, answers)
			}
		}
		delivered := 0
		for _, m := range answers {
			if m.Status() == 200 && m.Method() != "OPTIONS" {
				delivered++
			}
		}
		if c.answer == nil && len(values) != delivered || c.answer != nil && len(values) == 0 {
			t.Errorf("%s: %d messages were handed over, %d answered 200", network, len(values), delivered)
			continue
		}
		for _, f := range c.is {
			if len(values) == 0 {
				break // refused on this network only
			}
			name, value, _ := strings.Cut(f, "=")
			if v := field(values[0], name); v != value {
				t.Errorf("%s: %s is %q, want %q", network, name, v, value)
			}
		}
		for method, status := range c.also {
			got, _, values := play(t, network, wire(c.text, network, method), processed)
			if !slices.Equal(got.statuses, []int{status}) || got.after != stays || len(values) != 0 {
				t.Errorf("%s: a %s got %v, want %d; %d were handed over", network, method, got, status, len(values))
			}
		}
	}
}

// TestTorture: RFC 4475, case by case.
func TestTorture(t *testing.T) {
	for _, c := range torture() {
		t.Run(c.name+" "+c.what, c.check)
	}
}

// torture are the cases that are requests.
func torture() []tortured {
	return slices.Concat(tortureValid(), tortureInvalid(), tortureLayers())
}

// sections are the cases of RFC 4475.
var sections = map[string]string{
	"wsinv": "3.1.1.1", "intmeth": "3.1.1.2", "esc01": "3.1.1.3", "escnull": "3.1.1.4", "esc02": "3.1.1.5", "lwsdisp": "3.1.1.6",
	"longreq": "3.1.1.7", "dblreq": "3.1.1.8", "semiuri": "3.1.1.9", "transports": "3.1.1.10", "mpart01": "3.1.1.11",
	"unreason": "3.1.1.12", "noreason": "3.1.1.13",
	"badinv01": "3.1.2.1", "clerr": "3.1.2.2", "ncl": "3.1.2.3", "scalar02": "3.1.2.4", "scalarlg": "3.1.2.5", "quotbal": "3.1.2.6",
	"ltgtruri": "3.1.2.7", "lwsruri": "3.1.2.8", "lwsstart": "3.1.2.9", "trws": "3.1.2.10", "escruri": "3.1.2.11", "baddate": "3.1.2.12",
	"regbadct": "3.1.2.13", "badaspec": "3.1.2.14", "baddn": "3.1.2.15", "badvers": "3.1.2.16", "mismatch01": "3.1.2.17",
	"mismatch02": "3.1.2.18", "bigcode": "3.1.2.19",
	"badbranch": "3.2.1",
	"insuf":     "3.3.1", "unkscm": "3.3.2", "novelsc": "3.3.3", "unksm2": "3.3.4", "bext01": "3.3.5", "invut": "3.3.6", "regaut01": "3.3.7",
	"multi01": "3.3.8", "mcl01": "3.3.9", "bcast": "3.3.10", "zeromf": "3.3.11", "cparam01": "3.3.12", "cparam02": "3.3.13",
	"regescrt": "3.3.14", "sdp01": "3.3.15",
	"inv2543": "3.4.1",
}

// TestTortureIsWhole: no case of the RFC is left out, and each stands where it says.
func TestTortureIsWhole(t *testing.T) {
	seen := map[string]bool{}
	note := func(name, section string) {
		seen[name] = true
		if sections[name] != section {
			t.Errorf("%s is %q in RFC 4475, not %q", name, sections[name], section)
		}
	}
	for _, c := range torture() {
		note(c.name, c.section)
	}
	for _, c := range tortureAnswers {
		note(c.name, c.section)
	}
	for name := range sections {
		if !seen[name] {
			t.Errorf("there is no case %s", name)
		}
	}
	if len(sections) != 49 {
		t.Errorf("%d sections", len(sections))
	}
}
