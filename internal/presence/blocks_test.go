package presence

import (
	"sync"
	"testing"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// fakeBlocks blocks what it lists, by user and SIP address; "" is everybody.
type fakeBlocks struct {
	mu  sync.Mutex
	all map[[2]string]bool
}

func (f *fakeBlocks) Any(user mapping.JID) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for k := range f.all {
		if k[0] == "" || k[0] == user.String() {
			return true
		}
	}
	return false
}

func (f *fakeBlocks) Blocked(user mapping.JID, sip mapping.URI) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.all[[2]string{user.String(), sip.AOR()}] || f.all[[2]string{"", sip.AOR()}]
}

func (f *fakeBlocks) BlockedForAll(sip mapping.URI) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.all[[2]string{"", sip.AOR()}]
}

// block has a user, or with "" an admin, block a contact, or not any more.
func (h *harness) block(user, sip string, on bool) {
	h.t.Helper()
	f := h.options.Policy.Blocks.(*fakeBlocks)
	f.mu.Lock()
	f.all[[2]string{user, sip}] = on
	if !on {
		delete(f.all, [2]string{user, sip})
	}
	f.mu.Unlock()
	var who mapping.JID
	if user != "" {
		who = mapping.MustParseJID(user)
	}
	h.BlocksChanged(who)
	h.settle()
}

func blockable(t *testing.T, f func(t *testing.T, h *harness)) {
	t.Helper()
	inBubble(t, func(t *testing.T, h *harness) {
		h.stop()
		h.options.Policy.Blocks = &fakeBlocks{all: make(map[[2]string]bool)}
		h.start()
		f(t, h)
	})
}

const romeoSIP = "sip:romeo@example.net"

// A contact that a user has blocked sees him no longer, as if he had taken it back; what it
// asks for then looks as for a user who has not decided, and nobody is asked. When he takes
// the block back what they had agreed upon holds again.
func TestBlockedWatcher(t *testing.T) {
	blockable(t, func(t *testing.T, h *harness) {
		h.grant()
		h.watcher("c1")
		h.show("balcony", mapping.Available, nil)
		h.wantTold("c1 active 3600 ID-balcony=open")
		h.block("nurse@example.com", romeoSIP, true)
		h.wantTold()
		h.block(julietJID, romeoSIP, true)
		h.wantTold("c1 terminated rejected")
		h.takeStanzas()
		b := h.agent("c2")
		b.wants(b.subscribe(3600), 200)
		h.wantTold("c2 pending 3600")
		h.show("balcony", mapping.Available, &mapping.Resource{Show: "away"})
		h.grant()
		h.wait(time.Minute)
		b.wants(b.subscribe(3600), 200) // a refresh
		h.wantTold("c2 pending 3600")
		h.wantXMPP() // she is not asked, nor probed
		h.block(julietJID, romeoSIP, false)
		h.show("balcony", mapping.Available, nil)
		h.wantTold("c2 active 3600", "c2 active 3600 ID-balcony=open")
	})
}

// What a blocked stranger sees is what one sees who asks for a user who has not decided.
func TestBlockedStranger(t *testing.T) {
	told := func(block bool) (out []string, asked int) {
		blockable(t, func(t *testing.T, h *harness) {
			if block {
				h.block(julietJID, romeoSIP, true)
			}
			a := h.agent("c1")
			for _, expires := range []int{3600, 0} {
				a.wants(a.subscribe(expires), 200)
				out = append(out, h.answerAll(200)...)
			}
			h.takeRequests()
			p := h.agent("c2") // a poll
			p.wants(p.subscribe(0), 200)
			out = append(out, h.answerAll(200)...)
			asked = len(h.takeStanzas())
		})
		return out, asked
	}
	blocked, none := told(true)
	free, once := told(false)
	if len(blocked) == 0 || len(blocked) != len(free) || none != 0 || once != 1 {
		t.Fatalf("blocked %q, asked %d; else %q, asked %d", blocked, none, free, once)
	}
	for i := range blocked {
		if blocked[i] != free[i] {
			t.Errorf("blocked %q, else %q", blocked[i], free[i])
		}
	}
}

// Nothing is seen of a contact that is blocked, and what it shows is there again afterwards.
func TestBlockedContactIsNotSeen(t *testing.T) {
	blockable(t, func(t *testing.T, h *harness) {
		d := h.watching("a open")
		h.block(juliet, romeoSIP, true)
		h.wantXMPP("unavailable romeo@example.net/a > juliet@example.com")
		h.wantStatus(200, d.notify("active;expires=3600", document("a open", "b open")))
		h.presence(juliet+"/balcony", romeo, mapping.Probe)
		h.wantXMPP("unavailable romeo@example.net > juliet@example.com/balcony")
		h.wantState(WatchGranted)
		h.takeRequests()
		h.block(juliet, romeoSIP, false)
		a := d.within(t, h.wantSubscribe(3600))
		h.accept(a, 3600)
		h.wantStatus(200, a.notify("active;expires=3600", document("b open")))
		h.wantXMPP("available romeo@example.net/b > juliet@example.com")
	})
}

// XEP-0191 §3.5: to ask for the presence of a contact that one has blocked is refused.
func TestSubscribesToABlockedContact(t *testing.T) {
	blockable(t, func(t *testing.T, h *harness) {
		h.block(juliet, romeoSIP, true)
		h.stanza(&mapping.XMPPPresence{From: mapping.MustParseJID(juliet), To: mapping.MustParseJID(romeo), ID: "s", Type: mapping.Subscribe})
		h.wantXMPP("error romeo@example.net > juliet@example.com id=s not-acceptable cancel")
		h.block("", romeoSIP, true)
		h.stanza(&mapping.XMPPPresence{From: mapping.MustParseJID(juliet), To: mapping.MustParseJID(romeo), ID: "s", Type: mapping.Subscribe})
		h.wantXMPP("error romeo@example.net > juliet@example.com id=s not-allowed cancel")
		h.wantNothingToSIP()
		h.wantEmpty()
	})
}

// Whom an admin has blocked is told so, and what there was ends.
func TestBlockedByAnAdmin(t *testing.T) {
	blockable(t, func(t *testing.T, h *harness) {
		h.grant()
		a := h.watcher("c1")
		h.watching("a open")
		h.answerAll(200)
		h.block("", romeoSIP, true)
		h.wantXMPP("unavailable romeo@example.net/a > juliet@example.com")
		h.wantTold("c1 terminated rejected")
		a.wants(a.subscribe(3600), 481)
		b := h.agent("c2")
		b.wants(b.subscribe(3600), 403)
		h.wantTold()
		h.wantXMPP()
	})
}

// A restart changes nothing of it.
func TestBlockedAcrossARestart(t *testing.T) {
	blockable(t, func(t *testing.T, h *harness) {
		h.grant()
		h.watcher("c1")
		f := h.options.Policy.Blocks.(*fakeBlocks)
		f.mu.Lock()
		f.all[[2]string{julietJID, romeoSIP}] = true // as the disk has it, before anything else is read
		f.mu.Unlock()
		h.restart()
		h.wantTold("c1 terminated rejected")
		h.wantXMPP("unavailable romeo@example.net > juliet@example.com") // the contact sees her no more
	})
}
