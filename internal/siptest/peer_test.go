package siptest

import (
	"fmt"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func request(n int) string {
	return Text("hello",
		"MESSAGE sip:b@127.0.0.1 SIP/2.0",
		fmt.Sprintf("Via: SIP/2.0/X 127.0.0.1;branch=z9hG4bK%d", n),
		"From: <sip:a@example.net>;tag=1", "To: <sip:b@example.com>", "Call-ID: c", fmt.Sprintf("CSeq: %d MESSAGE", n))
}

func TestPeersTalk(t *testing.T) {
	for _, network := range []string{"udp", "tcp"} {
		t.Run(network, func(t *testing.T) {
			a, b := Listen(t, network), Listen(t, network)
			b.Answer(func(m *Message) string { return m.Reply(404, "Not Found", "Retry-After: 5") })
			for i := range 10 {
				res := a.Request(b.Addr(), request(i))
				if res.Status() != 404 || res.Get("retry-after") != "5" || res.Get("CSeq") != fmt.Sprintf("%d MESSAGE", i) {
					t.Fatalf("response %v", res)
				}
			}
			got := b.Await(10)
			if len(got) != 10 || string(got[9].Body) != "hello" || got[3].Method() != "MESSAGE" {
				t.Fatalf("%d requests", len(got))
			}
			if network == "tcp" {
				b.Hangup()
				a.AwaitHangup()
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	good := request(1)
	if _, n, err := Parse([]byte(good + "rest")); err != nil || n != len(good) {
		t.Fatalf("%d, %v", n, err)
	}
	for _, bad := range []string{
		strings.Replace(good, "SIP/2.0", "SIP/3.0", 1),
		strings.Replace(good, "Content-Length: 5", "Content-Length: x", 1),
		strings.Replace(good, "Call-ID: c", "Call-ID", 1),
		"SIP/2.0 99 x\r\nContent-Length: 0\r\n\r\n",
	} {
		if _, _, err := Parse([]byte(bad)); err == nil || err == errShort {
			t.Errorf("accepted (%v):\n%s", err, bad)
		}
	}
	if _, _, err := Parse([]byte(good[:len(good)-1])); err != errShort {
		t.Errorf("cut message: %v", err)
	}
}
