package presence

import (
	"io"
	"log/slog"
	"runtime"
	"strings"
	"testing"

	"github.com/stoxgw/stox/mapping"
)

// nobody is a policy by which juliet may not use the gateway.
func nobody(t *testing.T) Policy {
	t.Helper()
	access, err := mapping.NewAccess([]string{"nurse@example.com"})
	if err != nil {
		t.Fatal(err)
	}
	p := testPolicy(t)
	p.Access = access
	return p
}

// noExchange is a policy by which presence is exchanged with nobody.
func noExchange(t *testing.T) Policy {
	p := testPolicy(t)
	p.Mode = func(mapping.URI) Mode { return ModeNone }
	return p
}

// Who waited for the lock while the policy changed acts by the new one.
func TestPolicyOfWhoWaited(t *testing.T) {
	side := &fakeSide{}
	e := New(fakeXMPP{side}, fakeSIP{side}, Options{Policy: testPolicy(t)}, slog.New(slog.NewTextHandler(io.Discard, nil)))
	e.mu.Lock()
	got := make(chan *Policy)
	go func() {
		out := e.lock()
		e.unlock(out)
		got <- out.policy
	}()
	for buf := make([]byte, 1<<16); ; runtime.Gosched() { // until it waits
		if all := string(buf[:runtime.Stack(buf, true)]); strings.Contains(all, "(*Engine).lock(") && strings.Contains(all, "[sync.Mutex.Lock") {
			break
		}
	}
	p := nobody(t)
	e.policy.Store(&p)
	e.mu.Unlock()
	if (<-got).Access.Allows(mapping.MustParseJID(juliet)) {
		t.Error("it acts by the policy before")
	}
}

// Of a contact whom a user may not see any more the last NOTIFY shows nothing either, nor
// any before it (SEC-13).
func TestNothingShownAfterReload(t *testing.T) {
	for name, policy := range map[string]func(*testing.T) Policy{"access": nobody, "mode": noExchange} {
		for _, says := range []string{"active;expires=600", "terminated;reason=timeout"} {
			t.Run(name+" "+says, func(t *testing.T) {
				bubble(t, func(t *testing.T, h *harness) {
					d := h.watching("x open")
					h.SetPolicy(policy(t))
					h.wantStatus(200, d.notify(says, document("x open", "y open")))
					h.wantXMPP("unavailable romeo@example.net/x > juliet@example.com")
					h.wantNothingToSIP()
				})
			})
		}
	}
}
