package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stoxgw/stox/internal/admin"
	"github.com/stoxgw/stox/internal/config"
	"github.com/stoxgw/stox/internal/presence"
	"github.com/stoxgw/stox/internal/store"
	"github.com/stoxgw/stox/mapping"
)

func presenceConfig(t *testing.T, path string) *config.Config {
	t.Helper()
	cfg, err := config.Parse("stox.toml", []byte(fmt.Sprintf("xmpp = { domain = 'sip.example.com', secret = 'component secret' }\nsip = { domain = 'example.net' }\nstore = { path = %q }\n", path)), nil)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// said is both sides of an engine, which only write down what they are given.
type said struct {
	mu      sync.Mutex // guards the following
	stanzas []string
}

func (s *said) Deliver(batch []mapping.Parcel[mapping.XMPP]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range batch {
		v := p.Value.(*mapping.XMPPPresence)
		s.stanzas = append(s.stanzas, fmt.Sprint(v.From, " ", v.Type, " ", v.To))
	}
}

type noSIP struct{}

func (noSIP) Deliver([]mapping.Parcel[mapping.SIP]) {}
func (noSIP) Answer([]mapping.Result)               {}

func relation(user, contact string, state presence.State, since int64) presence.Relation {
	r := presence.Relation{User: mapping.MustParseJID(user), Contact: mapping.MustParseJID(contact), State: state}
	if since > 0 {
		r.Since = time.UnixMilli(since)
	}
	return r
}

// book runs a store at path while f has it as the engine's Book.
func book(t *testing.T, path string, f func(*journal)) {
	t.Helper()
	s, err := store.Open(path, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan error, 1)
	go func() { over <- s.Run(ctx, store.Events{}) }()
	f(&journal{store: s})
	cancel()
	if err := errors.Join(<-over, s.Close()); err != nil {
		t.Fatal(err)
	}
}

var agreed = []presence.Relation{
	relation("juliet@example.com", "romeo@sip.example.com", presence.WatchGranted|presence.WatcherGranted, 1_800_000_000_123),
	relation("juliet@example.com", "tybalt@sip.example.com", presence.WatchPending|presence.WatcherDeclined, 1_800_000_000_000),
	relation("nurse@example.com", "romeo@sip.example.com", presence.WatcherAsked, 0),
	relation("nurse@example.com", "x@gone.example.com", presence.WatchGranted, 0), // not ours any more
}

// asOperator is how they are shown.
var asOperator = []admin.Relation{
	{User: "juliet@example.com", Contact: "romeo@sip.example.com", SIP: "sip:romeo@example.net", Watches: "granted", Watched: "granted", Since: time.UnixMilli(1_800_000_000_123)},
	{User: "juliet@example.com", Contact: "tybalt@sip.example.com", SIP: "sip:tybalt@example.net", Watches: "pending", Watched: "declined", Since: time.UnixMilli(1_800_000_000_000)},
	{User: "nurse@example.com", Contact: "romeo@sip.example.com", SIP: "sip:romeo@example.net", Watched: "asked"},
	{User: "nurse@example.com", Contact: "x@gone.example.com", Watches: "granted"},
}

// What the engine has the book keep, the next engine is given, in the state it was in.
func TestPresenceOutlivesTheProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stox.db")
	later := time.UnixMilli(time.Now().Add(time.Hour).UnixMilli())
	dialogs := []presence.Dialog{{Key: "a", Expires: later, Data: []byte("x")}, {Key: "b", Expires: later.Add(time.Second), Data: []byte("y")}}
	book(t, path, func(j *journal) {
		j.PutRelations(agreed)
		j.PutRelations([]presence.Relation{relation("a@example.com", "b@sip.example.com", 1, 0), relation("a@example.com", "b@sip.example.com", 0, 0)})
		j.PutDialogs(append(slices.Clone(dialogs), presence.Dialog{Key: "gone", Expires: later.Add(-2 * time.Hour), Data: []byte("z")}))
	})
	book(t, path, func(j *journal) { // others may have written to the file
		j.store.PutRelations([]store.Relation{{User: "no jid", Contact: "x@y", State: 2}})
	})
	book(t, path, func(j *journal) {
		var relations []presence.Relation
		var got []presence.Dialog
		n, m, err := restorePresence(j.store, func(r []presence.Relation, d []presence.Dialog) {
			if len(got) > 0 && len(r) > 0 {
				t.Error("relations come after dialogs")
			}
			relations, got = append(relations, r...), append(got, d...)
		})
		if err != nil || n != len(agreed)+1 || m != 2 {
			t.Errorf("%d, %d, %v", n, m, err)
		}
		if !slices.Equal(relations, agreed) {
			t.Errorf("relations %v, want %v", relations, agreed)
		}
		if diff := cmp.Diff(dialogs, got); diff != "" {
			t.Errorf("dialogs, -want +got\n%s", diff)
		}
	})
}

// asksPresence is what either queue makes of questions.
func asksPresence(t *testing.T, q admin.Presence) {
	t.Helper()
	ctx := t.Context()
	for _, c := range []struct {
		f    admin.RelationFilter
		want []admin.Relation
	}{
		{admin.RelationFilter{}, asOperator},
		{admin.RelationFilter{User: "Juliet@example.com/balcony"}, asOperator[:2]},
		{admin.RelationFilter{Contact: "sip:romeo@example.net;transport=tcp"}, []admin.Relation{asOperator[0], asOperator[2]}},
		{admin.RelationFilter{Contact: "romeo@sip.example.com"}, []admin.Relation{asOperator[0], asOperator[2]}},
		{admin.RelationFilter{User: "nurse@example.com", Contact: "romeo@sip.example.com"}, asOperator[2:3]},
		{admin.RelationFilter{User: "nobody@example.com"}, nil},
	} {
		var got []admin.Relation
		for f := c.f; ; {
			p, err := q.Relations(ctx, f, 1)
			if err != nil || p.Total != len(c.want) || len(p.Relations) > 1 {
				t.Fatalf("%+v: %+v, %v", f, p, err)
			}
			if len(p.Relations) == 0 {
				break
			}
			got = append(got, p.Relations...)
			f.AfterUser, f.AfterContact = p.Relations[0].User, p.Relations[0].Contact
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%+v, -want +got\n%s", c.f, diff)
		}
	}
	for _, c := range []struct {
		user, contact string
		err           error
		text          string
	}{
		{"juliet@example.com", "sip:romeo@example.net", nil, ""},
		{"juliet@example.com/x", "romeo@sip.example.com/y", nil, ""},
		{"juliet@example.com", "nobody@sip.example.com", admin.ErrNotFound, `between "juliet@example.com" and "nobody@sip.example.com"`},
		{"sip:juliet@example.com", "romeo@sip.example.com", admin.ErrRequest, `"sip:juliet@example.com" is no JID`},
		{"juliet@example.com", "sip:\u202e", admin.ErrRequest, `"sip:\u202e" is neither a JID nor a SIP URI`},
		{"juliet@example.com", "http://example.net", admin.ErrRequest, `is neither a JID nor a SIP URI`},
	} {
		r, err := q.Relation(ctx, c.user, c.contact)
		if !errors.Is(err, c.err) || err != nil && !strings.Contains(err.Error(), c.text) {
			t.Errorf("%q %q: %v, want %v", c.user, c.contact, err, c.err)
		}
		if diff := cmp.Diff(asOperator[0], r); c.err == nil && diff != "" {
			t.Errorf("%q %q: -want +got\n%s", c.user, c.contact, diff)
		}
	}
	if _, err := q.Relations(ctx, admin.RelationFilter{User: "@"}, 1); !errors.Is(err, admin.ErrRequest) {
		t.Errorf("a filter that is no address: %v", err)
	}
	if _, err := q.Relations(ctx, admin.RelationFilter{Contact: "mailto:x"}, 1); !errors.Is(err, admin.ErrRequest) {
		t.Errorf("a filter that is no address: %v", err)
	}
}

func TestLivePresence(t *testing.T) {
	cfg := presenceConfig(t, "")
	rules, err := BuildRules(cfg)
	if err != nil {
		t.Fatal(err)
	}
	side := &said{}
	e := presence.New(side, noSIP{}, presence.Options{}, slog.New(slog.DiscardHandler))
	e.Restore(agreed, nil)
	log := newSyncBuffer(t)
	q := &liveQueue{presence: e, rules: func() *mapping.Rules { return rules }, log: log.logger()}
	asksPresence(t, q)
	ctx := t.Context()
	if _, err := q.Relations(ctx, admin.RelationFilter{AfterUser: "@"}, 1); !errors.Is(err, admin.ErrRequest) {
		t.Errorf("after what is no address: %v", err)
	}
	if _, err := q.Cancel(ctx, "juliet@example.com", "sip:\n", ""); !errors.Is(err, admin.ErrRequest) {
		t.Errorf("%v", err)
	}
	if _, err := q.Cancel(ctx, "nurse@example.com", "romeo@sip.example.com", admin.Watches); !errors.Is(err, admin.ErrNotFound) {
		t.Errorf("what there is not: %v", err)
	}
	if log := log.String(); log != "" || len(side.stanzas) > 0 {
		t.Errorf("nothing was done, and the log has\n%s%q", log, side.stanzas)
	}
	if was, err := q.Cancel(ctx, "juliet@example.com", "sip:romeo@example.net", admin.Watched); err != nil || cmp.Diff(asOperator[0], was) != "" {
		t.Errorf("%+v, %v", was, err)
	}
	log.await("level=INFO", `msg="the operator has cancelled a subscription" user=juliet@example.com contact=romeo@sip.example.com direction=watched`)
	if r, err := q.Relation(ctx, "juliet@example.com", "romeo@sip.example.com"); err != nil || r.Watches != "granted" || r.Watched == "granted" {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := q.Cancel(ctx, "juliet@example.com", "romeo@sip.example.com", ""); err != nil {
		t.Error(err)
	}
	log.await("level=INFO", "direction=both")
	e.Drain()
	if _, err := q.Cancel(ctx, "nurse@example.com", "romeo@sip.example.com", ""); !errors.Is(err, admin.ErrFailed) || !strings.Contains(err.Error(), "stopping") {
		t.Errorf("at the end: %v", err)
	}
}

func TestFilePresence(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stox.db")
	book(t, path, func(j *journal) { j.PutRelations(agreed) })
	q, err := OpenFile(presenceConfig(t, path))
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	asksPresence(t, q)
	if _, err := q.Cancel(t.Context(), "juliet@example.com", "romeo@sip.example.com", ""); !errors.Is(err, admin.ErrFailed) || !strings.Contains(err.Error(), "start it") {
		t.Errorf("%v", err)
	}
	asksPresence(t, q) // as it was

	// What others have written is shown as it stands, and does not end the list.
	book(t, path, func(j *journal) {
		j.store.PutRelations([]store.Relation{{User: "a b", Contact: "c d", State: 2}, {User: "a b", Contact: "e f", State: 8}})
	})
	var got []string
	for f := (admin.RelationFilter{}); ; {
		p, err := q.Relations(t.Context(), f, 1)
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Relations) == 0 {
			break
		}
		r := p.Relations[0]
		got = append(got, r.User+" "+r.Contact+" "+r.Watches+r.Watched)
		f.AfterUser, f.AfterContact = r.User, r.Contact
	}
	if len(got) != len(agreed)+2 || got[0] != "a b c d granted" || got[1] != "a b e f granted" {
		t.Errorf("%q", got)
	}
}

// Without a file nothing of presence outlives the process, and is kept nowhere twice.
func TestPresenceWithoutAFile(t *testing.T) {
	for path, want := range map[string]bool{"": false, filepath.Join(t.TempDir(), "stox.db"): true} {
		a, err := New(presenceConfig(t, path), slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if got := a.book() != nil; got != want {
			t.Errorf("%q: a book is there: %v", path, got)
		}
	}
}
