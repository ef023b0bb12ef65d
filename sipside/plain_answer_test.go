package sipside

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stoxgw/stox/mapping"
)

// FuzzPlainAnswer: what is taken for the Via or the CSeq of a plain answer is read so by all
// rules, too. twinAnswer and FuzzDirect see to the rest.
func FuzzPlainAnswer(f *testing.F) {
	for _, row := range []string{
		"SIP/2.0/UDP gw.example.com;rport=5060;received=192.0.2.1;branch={branch}", "SIP/2.0/TCP gw.example.com;branch={branch};received=[2001:db8::1]",
		"SIP/2.0/UDP gw.example.com;branch={branch}", "SIP/2.0/UDP gw.example.com;branch={branch};branch={branch}", "SIP/2.0/UDP gw.example.com;BRANCH=x;branch={branch}",
		"SIP/2.0/UDP gw.example.com;branch={branch}, SIP/2.0/UDP b", "SIP/2.0/UDP gw.example.com:5060;branch={branch}", "SIP/2.0/UDP gw.example.com.;branch={branch}",
		"SIP/2.0/UDP gw.example.com ;branch={branch}", "SIP/2.0/UDP gw.example.com;branch={branch}x", "SIP/2.0/UDP gw.example.com;branch={branch};", "SIP/2.0/UDP gw.example.com;rport;x=\"y;branch={branch}\"",
		"SIP/2.0/TLS gw.example.com;branch={branch}", "SIP/2.0/UDP gw.example.com;rport=;branch={branch}", "SIP/2.0/UDP gw.example.com;branch=z9hG4bK000000000000000700000000",
	} {
		f.Add(row, "1 MESSAGE")
	}
	f.Add("", "000000001 MESSAGE")
	f.Add("SIP/2.0/UDP gw.example.com", "1234567890 MESSAGE")
	f.Add("SIP/2.0/UDP gw.example.com;", " MESSAGE")
	f.Add("x", "1 OPTIONS")
	u := fuzzUA(f)
	u.sentBys = []sentBy{{"gw.example.com", 5060}}
	f.Fuzz(func(t *testing.T, row, cseq string) {
		row = strings.ReplaceAll(row, "{branch}", u.client.branch(twinID))
		if id, ok := u.client.plainID([]byte(row), "gw.example.com"); ok {
			v, ok := parseAnyVia(row)
			want, made := u.client.parseBranch(v.branch)
			if !ok || v.rest != "" || !made || id != want || !u.isOurs(v) {
				t.Errorf("%q is of request %d, and by all rules of %d (%+v)", row, id, want, v)
			}
		}
		if isPlainCSeq([]byte(cseq)) {
			if _, method, ok := parseAnyCSeq(cseq); !ok || method != methodMessage {
				t.Errorf("%q is of %q, %t", cseq, method, ok)
			}
		}
	})
}

// TestPlainAnswerTakes: an answer as servers write it takes the short way.
func TestPlainAnswerTakes(t *testing.T) {
	direct, _ := twins(t, testConfig())
	for _, c := range []struct {
		status, more string
		takes        bool
	}{
		{"200 OK", "", true}, {"202 Accepted", "\r\nServer: x\r\nContact: <sip:a@b>", true}, {"100 Trying", "", false}, {"486 Busy Here", "", false},
		{"200 OK", "\r\nVia: SIP/2.0/UDP b", false}, {"200 OK", "\r\nCSeq: 1 MESSAGE", false},
	} {
		text := strings.ReplaceAll(twinAnswer(c.status, c.more), "{branch}", direct.u.client.branch(twinID))
		rd := &direct.s.rd
		if n := rd.direct([]byte(text), memPeer); n != len(text) || len(rd.answers) == 1 != c.takes {
			t.Errorf("%s%q: %d bytes, %d plain answers", c.status, c.more, n, len(rd.answers))
		}
		rd.flush()
		if len(rd.answers) != 0 {
			t.Errorf("%d are left", len(rd.answers))
		}
	}
}

// Answers that were read in one go are matched in one go, up to one that has to be read in
// full, with which it goes on: each is told, in the order in which they have come.
func TestAnswersTogether(t *testing.T) {
	direct, _ := twins(t, testConfig())
	u := direct.u
	var in [][]byte
	var want string
	for id := uint64(1); id <= 150; id++ {
		tx := &clientTx{ref: id, id: id, req: outRequest{method: methodMessage}, sent: true, udp: direct.s, hop: &hop{}}
		done := func(a ownAnswer) { direct.told = append(direct.told, mapping.Result{Ref: id, Outcome: a.Outcome}) }
		if id%50 == 20 {
			tx.done = done
		}
		u.client.open.put(tx)
		status := "200 OK"
		if id%50 == 30 {
			status = "404 Not Found"
		}
		in = append(in, []byte(strings.ReplaceAll(twinAnswer(status, fmt.Sprintf("\r\nServer: %d", id/40)), "{branch}", u.client.branch(id))))
		want += fmt.Sprintf("%d %s %d\n", id, status[:3], id/40)
	}
	for _, b := range in {
		if direct.s.rd.direct(b, memPeer) != len(b) {
			t.Fatalf("not taken: %q", b)
		}
	}
	direct.s.rd.flush()
	byRef := make(map[any]mapping.Outcome)
	var last uint64
	for _, r := range direct.told {
		byRef[r.Ref] = r.Outcome
		if id := r.Ref.(uint64); id%50 != 20 { // what is told at once comes first
			if id < last {
				t.Errorf("%d is told after %d", id, last)
			}
			last = id
		}
	}
	got := ""
	for id := uint64(1); id <= 150; id++ {
		got += fmt.Sprintf("%d %d %s\n", id, byRef[id].Status, byRef[id].Agent)
	}
	if got != want || len(direct.told) != 150 || u.client.open.count != 0 || u.stats.Unmatched.Load() != 0 {
		t.Errorf("%d told, %d open, %d unmatched:\n%s", len(direct.told), u.client.open.count, u.stats.Unmatched.Load(), got)
	}
}

// TestPrintable: eight bytes at a time come to the same as one.
func TestPrintable(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 200000 {
		b := make([]byte, rnd.IntN(30))
		for i := range b {
			b[i] = '!' + byte(rnd.IntN('~'-'!'+1))
		}
		for range rnd.IntN(3) {
			if len(b) > 0 {
				b[rnd.IntN(len(b))] = [...]byte{0, 0x1f, ' ', '!', '~', 0x7f, 0x80, 0xa0, 0xff, '\r', '\n'}[rnd.IntN(11)]
			}
		}
		wantPrintable, wantVisible := true, true
		for _, c := range b {
			wantPrintable = wantPrintable && c >= ' ' && c <= '~'
			wantVisible = wantVisible && c > ' ' && c <= '~'
		}
		if s := string(b); printable(s) != wantPrintable || visible(s) != wantVisible {
			t.Fatalf("%q: printable %t, visible %t", s, printable(s), visible(s))
		}
	}
}
