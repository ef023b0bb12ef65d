package sipside

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/stoxgw/stox/internal/siptest"
)

// algorithms are those that a 401 asks for, in their order.
func algorithms(t testing.TB, res *siptest.Message) string {
	t.Helper()
	if res.Status() != 401 {
		t.Fatalf("%s, want a challenge", res.First)
	}
	var names []string
	for _, c := range res.All("WWW-Authenticate") {
		for _, name := range []string{"SHA-256", "MD5"} {
			if strings.Contains(c, "algorithm="+name) {
				names = append(names, name)
			}
		}
	}
	return strings.Join(names, " ")
}

// Who gives up at a challenge with SHA-256 in it, as some phones do that know MD5 alone, is
// asked with MD5 alone the next time. Nobody else is, nor who can do better.
func TestChallengeOfTheWeak(t *testing.T) {
	const both, weak = "SHA-256 MD5", "MD5"
	phone, other := "User-Agent: phone", "User-Agent: softphone"
	elsewhere := netip.MustParseAddrPort("198.51.100.7:5060")
	synctest.Test(t, func(t *testing.T) {
		_, m := memUA(t, loginConfig(), newBridge(processed))
		ask := func(agent string) *siptest.Message { return m.one(t, from(stranger, branchFrom, agent)) }
		want := func(when, got, want string) {
			t.Helper()
			if got != want {
				t.Errorf("%s: asked with %s, want %s", when, got, want)
			}
		}
		login := func(agent string, challenge string) {
			t.Helper()
			if got := m.status(t, from(stranger, branchFrom, agent, credentials(t, "branch", loginPassword, "MESSAGE", challenge))); got != 200 {
				t.Fatalf("logging in: %d", got)
			}
		}
		for i := range askedBoth {
			want(fmt.Sprint("request ", i), algorithms(t, ask(phone)), both)
		}
		res := ask(phone)
		want("after two in vain", algorithms(t, res), weak)
		login(phone, res.Get("WWW-Authenticate"))
		want("after it has logged in", algorithms(t, ask(phone)), weak)
		want("another one there", algorithms(t, ask(other)), both)

		// Who needs several tries for other reasons, and then answers the better one.
		res = ask(other)
		want("another one there, again", algorithms(t, res), both)
		login(other, res.All("WWW-Authenticate")[0])
		want("it can do better", algorithms(t, ask(other)), both)

		for i := range 2 * askedBoth {
			want(fmt.Sprint("without a name ", i), algorithms(t, m.one(t, from(elsewhere, branchFrom))), both)
			time.Sleep(strangerWindow)
		}

		time.Sleep(askedFor)
		want("an hour later", algorithms(t, ask(phone)), both)
	})
}

// A request that is sent again since its challenge was lost has left none unanswered.
func TestChallengeLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, m := memUA(t, loginConfig(), newBridge(processed))
		p := from(stranger, branchFrom, "User-Agent: phone")
		for i := range 2 * askedBoth {
			if got := algorithms(t, m.one(t, p)); got != "SHA-256 MD5" {
				t.Errorf("copy %d is asked with %s", i, got)
			}
			time.Sleep(strangerWindow)
		}
	})
}

// However often it asks, after a day it is given the choice again.
func TestChallengeOfTheWeakEnds(t *testing.T) {
	u := unanswered{seen: make(map[agentAt]silence)}
	a, now := agentAt{netip.MustParseAddr("192.0.2.1"), "phone"}, time.Unix(1e9, 0)
	var weak, both int
	for i := range 48 {
		if u.again(a, txKey{byte(i)}, now.Add(time.Duration(i)*30*time.Minute)) {
			weak++
		} else {
			both++
		}
	}
	if both != askedBoth {
		t.Errorf("asked with both %d times of %d", both, weak+both)
	}
	if u.again(a, txKey{99}, now.Add(askedMost)) {
		t.Error("asked with MD5 alone a day later")
	}
}

// What is remembered of user agents is bounded, whoever asks.
func TestUnansweredIsBounded(t *testing.T) {
	u := unanswered{seen: make(map[agentAt]silence)}
	now := time.Unix(1e9, 0)
	for i := range 3 * maxAsked {
		a := agentAt{netip.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)}), "x"}
		if u.again(a, txKey{}, now) {
			t.Fatal("asked with MD5 alone at once")
		}
	}
	if len(u.seen) > maxAsked {
		t.Errorf("%d are remembered", len(u.seen))
	}
}

// Of a long name only its beginning is kept, and not all of the header that it stood in: 4096
// of those would be 64 MB, which anybody could fill.
func TestAgentIsShort(t *testing.T) {
	r := request{source: stranger, f: fields{agent: strings.Repeat("x", 10000)}}
	a := agentOf(&r)
	if len(a.agent) != maxAgent || unsafe.StringData(a.agent) == unsafe.StringData(r.f.agent) {
		t.Errorf("%d bytes, in the same memory", len(a.agent))
	}
}
