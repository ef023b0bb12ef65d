package presence

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// operated is an engine whose sides and book only write down what they are given.
type operated struct {
	*Engine
	mu        sync.Mutex // guards the following
	stanzas   []string
	relations []Relation
}

type operatedXMPP struct{ *operated }

func (o operatedXMPP) Deliver(batch []mapping.Parcel[mapping.XMPP]) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, p := range batch {
		v := p.Value.(*mapping.XMPPPresence)
		o.stanzas = append(o.stanzas, fmt.Sprint(v.From, " ", v.Type, " ", v.To))
	}
}

type operatedSIP struct{}

func (operatedSIP) Deliver([]mapping.Parcel[mapping.SIP]) {}
func (operatedSIP) Answer([]mapping.Result)               {}

func (o *operated) PutDialogs([]Dialog) {}

func (o *operated) PutRelations(batch []Relation) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.relations = append(o.relations, batch...)
}

func operate(states map[string]State) *operated {
	o := &operated{}
	o.Engine = New(operatedXMPP{o}, operatedSIP{}, Options{Policy: Policy{Alone: true}, Book: o}, slog.New(slog.DiscardHandler))
	var all []Relation
	for contact, state := range states {
		all = append(all, Relation{User: operatedUser, Contact: mapping.MustParseJID(contact), State: state, Since: time.UnixMilli(1_800_000_000_000)})
	}
	o.Restore(all, nil)
	return o
}

var operatedUser = mapping.MustParseJID("juliet@example.com")

func TestDirectionOf(t *testing.T) {
	for s, want := range map[State][2]string{
		0:                             {"", ""},
		WatchPending:                  {"pending", ""},
		WatchGranted:                  {"granted", ""},
		WatchPending | WatchGranted:   {"granted", ""},
		WatcherAsked:                  {"", "asked"},
		WatcherGranted:                {"", "granted"},
		WatcherAsked | WatcherGranted: {"", "granted"},
		WatcherDeclined:               {"", "declined"},
		WatchGranted | WatcherDeclined | WatcherAsked: {"granted", "declined"},
	} {
		if got := [2]string{Watches.Of(s), Watched.Of(s)}; got != want {
			t.Errorf("%05b: %q, want %q", s, got, want)
		}
	}
}

// Pages of any size, put together, are all relations of the filter in their order.
func TestListPages(t *testing.T) {
	o := operate(nil)
	var all []Relation
	for i := range 60 {
		for j := range 50 { // in no order
			all = append(all, Relation{User: mapping.MustParseJID(fmt.Sprintf("u%d@example.com", (i*37)%60)),
				Contact: mapping.MustParseJID(fmt.Sprintf("c%d@sip.example.com", (j*31)%50)), State: WatchGranted})
		}
	}
	o.Restore(all, nil)
	slices.SortFunc(all, func(a, b Relation) int {
		return pair{a.User, a.Contact}.compare(pair{b.User, b.Contact})
	})
	for _, f := range []Filter{
		{N: 7}, {N: 1000}, {N: 3000}, {N: 5000},
		{N: 1, User: mapping.MustParseJID("u7@example.com")},
		{N: 3, Contact: mapping.MustParseJID("c3@sip.example.com")},
		{N: 3, User: mapping.MustParseJID("u7@example.com"), Contact: mapping.MustParseJID("c3@sip.example.com")},
		{N: 3, User: mapping.MustParseJID("nobody@example.com")},
	} {
		var want, got []Relation
		for _, r := range all {
			if f.takes(pair{r.User, r.Contact}) {
				want = append(want, r)
			}
		}
		for q := f; ; {
			page, total := o.List(q)
			if total != len(want) || len(page) > f.N {
				t.Fatalf("%+v: %d of %d in a page, want %d", q, len(page), total, len(want))
			}
			if len(page) == 0 {
				break
			}
			for _, e := range page {
				got = append(got, e.Relation)
			}
			q.AfterUser, q.AfterContact = page[len(page)-1].User, page[len(page)-1].Contact
		}
		if !slices.Equal(got, want) {
			t.Errorf("%+v: %d relations, want %d", f, len(got), len(want))
		}
	}
	if page, total := o.List(Filter{}); len(page) != 0 || total != 0 {
		t.Errorf("no room: %d of %d", len(page), total)
	}
}

// A list is read while relations come and go: what stays is in it, once.
func TestListWhileRelationsChange(t *testing.T) {
	o := operate(nil)
	var stay []Relation
	for i := range 3 * walkAtOnce {
		stay = append(stay, Relation{User: mapping.MustParseJID(fmt.Sprintf("u%d@example.com", i)), Contact: mapping.MustParseJID("c@sip.example.com"), State: WatchGranted})
	}
	o.Restore(stay, nil)
	over, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for i := 0; ; i++ {
			select {
			case <-over:
				return
			default:
			}
			user := mapping.MustParseJID(fmt.Sprintf("v%d@example.com", i%1000))
			o.Restore([]Relation{{User: user, Contact: mapping.MustParseJID("c@sip.example.com"), State: WatcherGranted}}, nil)
			if _, err := o.Cancel(user, mapping.MustParseJID("c@sip.example.com"), ""); err != nil && !errors.Is(err, ErrNoRelation) {
				t.Error(err)
			}
		}
	}()
	seen := map[mapping.JID]int{}
	for f := (Filter{N: 1000}); ; {
		page, _ := o.List(f)
		if len(page) == 0 {
			break
		}
		for _, e := range page {
			seen[e.User]++
		}
		f.AfterUser, f.AfterContact = page[len(page)-1].User, page[len(page)-1].Contact
	}
	close(over)
	<-ended
	for _, r := range stay {
		if seen[r.User] != 1 {
			t.Errorf("%v is there %d times", r.User, seen[r.User])
		}
	}
}

// Cancel ends what there is of the directions that are asked for, and tells both sides; the
// other direction stays as it is (PRES-01, RFC 8048 §5.2.3, §5.3.3).
func TestCancel(t *testing.T) {
	const both = WatchGranted | WatcherGranted
	const contact = "romeo@sip.example.com"
	for _, c := range []struct {
		name    string
		state   State
		only    Direction
		left    State // of the bits that grant something
		refused bool  // the contact is from now on
		err     error
	}{
		{"both", both, "", 0, true, nil},
		{"pending and asked", WatchPending | WatcherAsked, "", 0, true, nil},
		{"what the user watches", both, Watches, WatcherGranted, false, nil},
		{"who watches the user", both, Watched, WatchGranted, true, nil},
		{"the user alone watches", WatchGranted, "", 0, false, nil},
		{"what there is not", WatchGranted, Watched, WatchGranted, false, ErrNoRelation},
		{"nor this", WatcherGranted, Watches, WatcherGranted, false, ErrNoRelation},
		{"declined before", WatcherDeclined, "", 0, true, ErrNoRelation},
		{"nothing", 0, "", 0, false, ErrNoRelation},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := operate(map[string]State{contact: c.state, "other@sip.example.com": both})
			was, err := o.Cancel(mapping.MustParseJID("juliet@example.com/balcony"), mapping.MustParseJID(contact+"/x"), c.only)
			if !errors.Is(err, c.err) || c.err == nil && (err != nil || was.State != c.state || was.User != operatedUser) {
				t.Errorf("%+v, %v; want %v", was, err, c.err)
			}
			now, _ := o.Find(operatedUser, mapping.MustParseJID(contact))
			if got := now.State &^ WatcherDeclined; got != c.left || (now.State&WatcherDeclined != 0) != c.refused {
				t.Errorf("left: %05b, want %05b, refused %v", now.State, c.left, c.refused)
			}
			if c.err == nil {
				if n := len(o.relations); n == 0 || o.relations[n-1].State != now.State || o.relations[n-1].Contact.String() != contact {
					t.Errorf("the book was told %+v", o.relations)
				}
			} else if len(o.relations) > 0 || len(o.stanzas) > 0 {
				t.Errorf("nothing was to happen, and %v, %v", o.relations, o.stanzas)
			}
			retracts := slices.Contains(o.stanzas, contact+" unsubscribe juliet@example.com")
			if want := c.err == nil && c.only != Watches && c.state&(WatcherAsked|WatcherGranted) != 0; retracts != want {
				t.Errorf("the contact takes its subscription back: %v, want %v (%q)", retracts, want, o.stanzas)
			}
			if other, _ := o.Find(operatedUser, mapping.MustParseJID("other@sip.example.com")); other.State != both {
				t.Errorf("that of another contact is %05b", other.State)
			}
		})
	}
}

// An engine that stops has nobody cancelled: what the sides are told might be lost.
func TestCancelAtTheEnd(t *testing.T) {
	o := operate(map[string]State{"romeo@sip.example.com": WatcherGranted})
	o.Drain()
	if _, err := o.Cancel(operatedUser, mapping.MustParseJID("romeo@sip.example.com"), ""); !errors.Is(err, ErrClosing) || len(o.relations) > 0 {
		t.Errorf("%v, %v", err, o.relations)
	}
}
