package commands

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/stoxgw/stox/internal/texts"
	"github.com/stoxgw/stox/mapping"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	gateway = "sip.example.com"
	juliet  = "juliet@example.com/balcony"
	phone   = "juliet@example.com/phone"
	nurse   = "nurse@example.com/kitchen"
	boss    = "boss@example.com/desk"
	secret  = "Wherefore-4rt-thou" // the password, wherever one is given
)

func jid(s string) mapping.JID { return mapping.MustParseJID(s) }

// world is a desk and what it works with. Everything that the desk has said is kept.
type world struct {
	t    *testing.T
	desk *Desk
	log  lockedBuffer
	stop context.CancelFunc
	done chan error

	mu    sync.Mutex
	said  []mapping.XMPP
	taken int // of said, by next
	n     int // ids

	accounts  *fakeAccounts
	recent    fakeRecent
	blocks    *fakeBlocks
	operator  *fakeOperator
	languages fakeLanguages
	level     fakeLog
	used      []Use
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// newWorld makes a desk with all that there is, which mod may change. It has to be called in a
// synctest bubble; the desk ends with the test.
func newWorld(t *testing.T, mod func(*Options)) *world {
	t.Helper()
	rules, err := mapping.NewRules(mapping.RulesConfig{
		GatewayDomain: gateway, SIPHost: gateway, UserDomains: []string{"example.com"}, DefaultSIPDomain: "pbx.example.net",
		Routes:  []mapping.RouteRule{{Domain: "pbx.example.net"}},
		Aliases: []mapping.Alias{{SIP: uri("sip:+15550001111@pbx.example.net"), XMPP: jid("nurse@example.com")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, done: make(chan error, 1), accounts: &fakeAccounts{of: map[mapping.JID]Account{}}, blocks: &fakeBlocks{of: map[mapping.JID][]string{}},
		operator: &fakeOperator{}, languages: fakeLanguages{}, level: fakeLog{level: new(string)}, recent: fakeRecent{}}
	*w.level.level = "info"
	o := Options{
		Admin: func(j mapping.JID) bool { return j == jid("boss@example.com") }, Rules: func() *mapping.Rules { return rules },
		Accounts: w.accounts, Recent: w.recent, Blocks: w.blocks, Operator: w.operator, Languages: w.languages, Log: w.level,
		Usage: func(n int) []Use { return w.used[:min(n, len(w.used))] },
	}
	if mod != nil {
		mod(&o)
	}
	w.desk = New(w, o, slog.New(slog.NewTextHandler(&w.log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	ctx, cancel := context.WithCancel(context.Background())
	w.stop = cancel
	go func() { w.done <- w.desk.Run(ctx) }()
	t.Cleanup(func() { w.end() })
	return w
}

func (w *world) end() {
	w.stop()
	if w.done != nil {
		if err := <-w.done; err != nil {
			w.t.Error(err)
		}
		w.done = nil
	}
}

func uri(s string) mapping.URI {
	u, err := mapping.ParseURI(s)
	if err != nil {
		panic(err)
	}
	return u
}

// Deliver implements XMPPSide.
func (w *world) Deliver(batch []mapping.Parcel[mapping.XMPP]) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range batch {
		if p.Ref != (Ref{}) {
			w.t.Errorf("a value without the desk's Ref: %+v", p)
		}
		w.said = append(w.said, p.Value)
	}
}

// next is what was said since the last call, when all is quiet.
func (w *world) next() []mapping.XMPP {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	fresh := slices.Clone(w.said[w.taken:])
	w.taken = len(w.said)
	return fresh
}

// id is a fresh one.
func (w *world) id() string { w.n++; return fmt.Sprint("q", w.n) }

// step gives one step of a command and returns the reply, with what was said besides.
func (w *world) step(m *mapping.XMPPCommand) (*mapping.XMPPCommandReply, []mapping.XMPP) {
	w.t.Helper()
	m.To, m.ID = jid(gateway), w.id()
	w.desk.Command(m)
	all := w.next()
	for i, v := range all {
		if r, ok := v.(*mapping.XMPPCommandReply); ok {
			if r.ID != m.ID || r.From != m.To || r.To != m.From || r.Node != m.Node {
				w.t.Fatalf("%+v is no answer to %+v", r, m)
			}
			if r.Failure == nil && r.Session != "" && r.Default != "" && !slices.Contains(r.Actions, r.Default) {
				w.t.Errorf("the default action of %+v is not one of them", r)
			}
			return r, slices.Delete(slices.Clone(all), i, i+1)
		}
	}
	w.t.Fatalf("%s %q is not answered: %v", m.Node, m.Action, all)
	return nil, nil
}

// begin is the first step of a command.
func (w *world) begin(from, node string) *mapping.XMPPCommandReply {
	w.t.Helper()
	r, _ := w.step(&mapping.XMPPCommand{From: jid(from), Node: node, Action: actExecute})
	return r
}

// submit is the next step, with these fields: name and value in turn.
func (w *world) submit(r *mapping.XMPPCommandReply, from, action string, fields ...string) (*mapping.XMPPCommandReply, []mapping.XMPP) {
	w.t.Helper()
	return w.step(&mapping.XMPPCommand{From: jid(from), Node: r.Node, Session: r.Session, Action: action, Form: submitted(fields...)})
}

func submitted(fields ...string) *mapping.Form {
	f := &mapping.Form{Type: mapping.FormSubmit}
	for i := 0; i+1 < len(fields); i += 2 {
		f.Fields = append(f.Fields, mapping.Field{Var: fields[i], Values: []string{fields[i+1]}})
	}
	return f
}

// chat writes to the gateway and returns whether it was a command, and what was said.
func (w *world) chat(from, text, lang string) (bool, []mapping.XMPP) {
	w.t.Helper()
	taken := w.desk.Chat(&mapping.XMPPMessage{From: jid(from), To: jid(gateway), ID: w.id(), Type: "chat", Lang: lang, Thread: "t1", WantReceipt: true,
		Bodies: []mapping.Text{{Value: text}}})
	return taken, w.next()
}

// text is the text of the one message that was said.
func (w *world) text(from, text, lang string) string {
	w.t.Helper()
	taken, all := w.chat(from, text, lang)
	if !taken {
		return "not taken"
	}
	var found []string
	for _, v := range all {
		switch v := v.(type) {
		case *mapping.XMPPMessage:
			if v.Type != "chat" || v.Thread != "t1" || v.From != jid(gateway) || v.To != jid(from) || v.ID == "" {
				w.t.Errorf("an odd answer: %+v", v)
			}
			found = append(found, v.Bodies[0].Value)
		case *mapping.XMPPError:
			found = append(found, string(v.Failure.Condition))
		}
	}
	if len(found) != 1 {
		w.t.Fatalf("%q is answered by %d texts: %q", text, len(found), found)
	}
	return found[0]
}

// described is a reply in one line.
func described(r *mapping.XMPPCommandReply) string {
	if r.Failure != nil {
		s := fmt.Sprintf("%s/%s", r.Failure.Type, r.Failure.Condition)
		if r.Condition != "" {
			s += "+" + r.Condition
		}
		return s
	}
	parts := []string{r.Status}
	if len(r.Actions) > 0 {
		parts = append(parts, strings.Join(r.Actions, ","))
	}
	for _, n := range r.Notes {
		parts = append(parts, n.Type+": "+n.Text)
	}
	return strings.Join(parts, " | ")
}

// shown is a form in lines.
func shown(f *mapping.Form) string {
	if f == nil {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %q\n", f.Type, f.Title)
	for _, s := range f.Instructions {
		fmt.Fprintf(&b, "  %s\n", s)
	}
	for _, one := range f.Fields {
		required := ""
		if one.Required {
			required = " *"
		}
		fmt.Fprintf(&b, "%s (%s)%s = %q\n", one.Var, one.Type, required, one.Values)
	}
	for _, row := range f.Rows {
		fmt.Fprintf(&b, "%q\n", row)
	}
	return b.String()
}

func bodies(all []mapping.XMPP) (out []string) {
	for _, v := range all {
		switch v := v.(type) {
		case *mapping.XMPPPresence:
			out = append(out, fmt.Sprintf("%s>%s %s", v.From, v.To, v.Type))
		case *mapping.XMPPMessage:
			out = append(out, v.Bodies[0].Value)
		case *mapping.XMPPReceipt:
			out = append(out, "received "+v.About)
		case *mapping.XMPPError:
			out = append(out, string(v.Failure.Condition)+"#"+v.ID)
		default:
			out = append(out, fmt.Sprintf("%T", v))
		}
	}
	return out
}

// fakeAccounts keeps accounts as the engine does: what is tried waits until the test settles it, if it
// is to.
type fakeAccounts struct {
	mu      sync.Mutex
	of      map[mapping.JID]Account
	wait    bool          // what is tried stays open
	open    []func(error) // and is settled by these
	fault   error         // of all that is tried
	secrets []string      // passwords that were given
}

func (f *fakeAccounts) Of(user mapping.JID) (Account, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	a, ok := f.of[user]
	return a, ok
}

func (f *fakeAccounts) All() (all []Account) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range f.of {
		all = append(all, a)
	}
	return all
}

func (f *fakeAccounts) Set(user mapping.JID, d Details, done func(error)) {
	f.mu.Lock()
	f.secrets = append(f.secrets, d.Password)
	settle := func(err error) {
		if err == nil {
			f.mu.Lock()
			f.of[user] = Account{User: user, Address: d.Address, Username: d.Username, Registrar: d.Registrar, Name: d.Name, State: "registered", Status: 200, Since: time.Unix(1_700_000_000, 0)}
			f.mu.Unlock()
		}
		done(err)
	}
	wait, fault := f.wait, f.fault
	if wait {
		f.open = append(f.open, settle)
	}
	f.mu.Unlock()
	if !wait {
		settle(fault)
	}
}

// tried are what settles all that was tried and waits.
func (f *fakeAccounts) tried() []func(error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.open)
}

func (f *fakeAccounts) Remove(user mapping.JID, done func(error)) {
	f.mu.Lock()
	_, has := f.of[user]
	fault := f.fault
	if fault == nil && has {
		delete(f.of, user)
	}
	f.mu.Unlock()
	if !has {
		fault = &Problem{Kind: "unknown"}
	}
	done(fault)
}

type fakeRecent map[mapping.JID][]Message

func (f fakeRecent) OfUser(user mapping.JID, n int) []Message { return f[user][:min(n, len(f[user]))] }

type fakeBlocks struct {
	mu sync.Mutex
	of map[mapping.JID][]string
}

func (f *fakeBlocks) Block(owner mapping.JID, what string) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !strings.ContainsAny(what, "@.") {
		return "", &mapping.Failure{Text: "This is neither a SIP address nor a phone number."}
	}
	what = strings.ToLower(what)
	if !slices.Contains(f.of[owner], what) {
		f.of[owner] = append(f.of[owner], what)
	}
	return what, nil
}

func (f *fakeBlocks) Unblock(owner mapping.JID, what string) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := slices.Index(f.of[owner], strings.ToLower(what))
	if i < 0 {
		return "", &Problem{Kind: "not-blocked"}
	}
	f.of[owner] = slices.Delete(f.of[owner], i, i+1)
	return strings.ToLower(what), nil
}

func (f *fakeBlocks) List(owner mapping.JID) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.of[owner])
}

type fakeOperator struct {
	status   Status
	routes   []Route
	waiting  []Waiting
	total    int
	reloaded Reloaded
	fault    error
}

func (f *fakeOperator) Status() Status                           { return f.status }
func (f *fakeOperator) Routes(context.Context) ([]Route, error)  { return f.routes, f.fault }
func (f *fakeOperator) Reload(context.Context) (Reloaded, error) { return f.reloaded, f.fault }
func (f *fakeOperator) Queue(_ context.Context, n int) (int, []Waiting, error) {
	return f.total, f.waiting[:min(n, len(f.waiting))], f.fault
}

type fakeLanguages map[mapping.JID]string

func (f fakeLanguages) Language(user mapping.JID) string { return f[user] }
func (f fakeLanguages) SetLanguage(user mapping.JID, lang string) {
	f[user] = lang
}

type fakeLog struct{ level *string }

func (f fakeLog) Level() string         { return *f.level }
func (f fakeLog) Levels() []string      { return []string{"debug", "info", "warn", "error"} }
func (f fakeLog) SetLevel(level string) { *f.level = level }

var (
	errDisk = errors.New("the disk is on fire")
	english = texts.For("en")
	german  = texts.For("de")
)
