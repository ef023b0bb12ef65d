package accounts

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/stoxgw/stox/mapping"
)

// model is what is to be so of the accounts, whatever happens in between: for each user what he
// was told last.
type model struct {
	t     *rapid.T
	w     *world
	keys  []string
	mode  Mode
	allow []string
	has   map[mapping.JID]wish // acknowledged
	open  map[mapping.JID]*asked
	told  int // answers
	asked int
}

// wish is an account as a user has typed it.
type wish struct{ aor, password string }

// asked is a Set or Remove without an answer.
type asked struct {
	wish   wish
	remove bool
	n      int
}

var (
	modelUsers = []mapping.JID{romeo, juliet, mapping.MustParseJID("nurse@example.com")}
	modelAORs  = []string{"a@dns.example", "A@dns.example", "b@dns.example", "c@pbx.example.net"}
)

func (m *model) ask(user mapping.JID, remove bool, want wish) {
	a := &asked{wish: want, remove: remove}
	m.asked++
	done := func(err error) {
		m.told++
		if a.n++; a.n > 1 {
			m.t.Fatalf("%s is told twice", user)
		}
		if m.open[user] == a {
			delete(m.open, user)
		}
		if err != nil {
			if _, ok := err.(*Problem); !ok {
				m.t.Fatalf("%T", err)
			}
			return
		}
		if remove {
			delete(m.has, user)
		} else {
			m.has[user] = want
		}
	}
	if remove {
		m.w.Remove(user, done)
	} else {
		m.w.Set(user, Details{AOR: want.aor, Password: want.password}, done)
	}
	if a.n == 0 {
		if m.open[user] != nil {
			m.t.Fatalf("%s has two changes", user)
		}
		m.open[user] = a
	}
}

// restart ends the run: what waits for the disk is lost or not, answers that were not given
// never come.
func (m *model) restart(writes int) {
	for range writes {
		if m.w.book.waits() > 0 { // a change may be on the disk whose answer is lost
			m.w.book.mu.Lock()
			p := &m.w.book.waiting[0]
			p.done = nil
			m.w.book.mu.Unlock()
			m.w.book.commit(nil, true)
		}
	}
	m.w.book.waiting, m.w.book.full = nil, false
	lost := m.open
	m.open = map[mapping.JID]*asked{}
	m.asked, m.told = 0, 0
	m.w = newWorld(m.t, m.w.book, keysOf(m.t, m.keys...), m.mode)
	m.w.SetPolicy(m.w.policyFor(m.t, m.mode, m.allow...))
	for user, a := range lost { // either is right, and what is there now is what counts
		got, has := m.w.byUser[user], m.w.byUser[user] != nil
		before, had := m.has[user]
		switch {
		case !has && (a.remove || !had):
			delete(m.has, user)
		case has && had && m.is(got, before):
		case has && !a.remove && m.is(got, a.wish):
			m.has[user] = a.wish
		default:
			m.t.Fatalf("after a crash %s has %v, before %v, and wanted %+v", user, got, before, a)
		}
	}
}

func (m *model) is(en *entry, want wish) bool {
	return en.text == "sip:"+want.aor && (!en.opened || en.secret.Password == want.password)
}

// check is what holds whenever nothing is on its way.
func (m *model) check() {
	t, w := m.t, m.w
	if len(m.open) > 0 || w.book.waits() > 0 {
		return
	}
	if m.told != m.asked {
		t.Fatalf("%d were asked and %d told", m.asked, m.told)
	}
	if len(w.changes)+len(w.wanted) != 0 || len(w.byUser) != len(m.has) || len(w.book.disk) != len(m.has) {
		t.Fatalf("%d changes, %d addresses, %d accounts, %d rows; want %d", len(w.changes), len(w.wanted), len(w.byUser), len(w.book.disk), len(m.has))
	}
	lines := w.lines.registered()
	for user, want := range m.has {
		en := w.byUser[user]
		if en == nil || !m.is(en, want) {
			t.Fatalf("%s has %v, want %v", user, en, want)
		}
		s, fresh, err := w.policy.Keys.open(user.String(), "sip:"+want.aor, w.book.disk[user].Sealed)
		if w.policy.Mode != ModeNone && (err != nil || s.Password != want.password || !fresh) {
			t.Fatalf("the row of %s: %v, fresh %v", user, err, fresh)
		}
		aor, known := w.AccountOf(user)
		line, is := lines[en.aor]
		if known != (en.asleep == "") || is != known || known && (aor != en.aor || line.Password != want.password) {
			t.Fatalf("%s: asleep %q, known %v, registered %v as %v", user, en.asleep, known, is, line)
		}
		if owner, ok := w.UserOf(en.key); known && (!ok || owner != user) {
			t.Fatalf("%s is of %s", en.key, owner)
		}
		delete(lines, en.aor)
		allowed := m.mode != ModeNone && (len(m.allow) > 1 || m.allow[0] == "example.com" || m.allow[0] == user.String())
		if (en.asleep == "") != allowed {
			t.Fatalf("%s is asleep: %q; mode %s, allowed %v", user, en.asleep, m.mode, m.allow)
		}
	}
	if len(lines) > 0 {
		t.Fatalf("registered for nobody: %v", lines)
	}
	if n := len(w.index.aors); n != len(w.index.users) {
		t.Fatalf("%d users have %d addresses", n, len(w.index.users))
	}
}

// Whatever users, registrars, the disk and the admin do, in whatever order: nobody has another
// one's account, what was acknowledged is there, also after a crash, what is registered is what
// there is, and everybody is answered once.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &model{t: t, keys: []string{"k0"}, mode: ModeOptional, allow: []string{"example.com"}, has: map[mapping.JID]wish{}, open: map[mapping.JID]*asked{}}
		m.w = newWorld(t, nil, keysOf(t, m.keys...), m.mode)
		policy := func() {
			m.w.keys = keysOf(t, m.keys...)
			m.w.SetPolicy(m.w.policyFor(t, m.mode, m.allow...))
		}
		n := 0
		t.Repeat(map[string]func(*rapid.T){
			"set": func(t *rapid.T) {
				n++
				m.ask(rapid.SampledFrom(modelUsers).Draw(t, "user"), false, wish{rapid.SampledFrom(modelAORs).Draw(t, "aor"), fmt.Sprint("password ", n)})
				clear(m.w.tries.of)
			},
			"remove": func(t *rapid.T) { m.ask(rapid.SampledFrom(modelUsers).Draw(t, "user"), true, wish{}) },
			"registrar": func(t *rapid.T) {
				if len(m.w.lines.trials) == 0 {
					t.Skip("nothing is tried")
				}
				m.w.lines.answer(rapid.SampledFrom([]LineState{good, good, wrong, {Status: 503}, {Busy: true}}).Draw(t, "answer"))
			},
			"told": func(t *rapid.T) {
				if len(m.w.lines.over) == 0 {
					t.Skip("nobody has answered")
				}
				m.w.lines.tell()
			},
			"disk": func(t *rapid.T) {
				if m.w.book.waits() == 0 {
					t.Skip("nothing is written")
				}
				if m.w.book.waiting[0].done != nil && rapid.IntRange(0, 3).Draw(t, "fault?") == 0 {
					m.w.book.commit(errDisk, rapid.Bool().Draw(t, "written"))
					m.w.book.all()
					policy() // which seals anew what was left
					return
				}
				m.w.book.commit(nil, true)
			},
			"full": func(t *rapid.T) {
				m.w.book.full = rapid.Bool().Draw(t, "full")
				if !m.w.book.full {
					policy()
				}
			},
			"mode": func(t *rapid.T) {
				m.mode = rapid.SampledFrom([]Mode{ModeOptional, ModeOptional, ModeRequired, ModeNone}).Draw(t, "mode")
				policy()
			},
			"access": func(t *rapid.T) {
				m.allow = []string{rapid.SampledFrom([]string{"example.com", "example.com", romeo.String(), juliet.String()}).Draw(t, "allow")}
				policy()
			},
			"key": func(t *rapid.T) {
				if m.w.book.full || m.w.book.waits() > 0 || len(m.open) > 0 { // as documented: the old one goes when the log says so
					t.Skip("not yet")
				}
				m.keys = []string{fmt.Sprint("k", n), m.keys[0]}
				policy()
			},
			"crash": func(t *rapid.T) {
				m.restart(rapid.IntRange(0, 3).Draw(t, "writes"))
			},
			"": func(*rapid.T) {
				if !m.w.book.full {
					m.check()
				}
			},
		})
	})
}
