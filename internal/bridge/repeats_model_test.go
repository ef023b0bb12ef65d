package bridge

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// ledger is a journal that keeps what it is given.
type ledger struct {
	*journalFake
	seen   []Seen
	events []Event
}

func (l *ledger) PutSeen(batch []Seen) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen = append(l.seen, batch...)
}

func (l *ledger) PutTrail(batch []Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, batch...)
}

func (l *ledger) Lookup(id string) ([]Event, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return eventsOf(l.events, id), nil
}

// linked is an XMPP side whose links can go down.
type linked struct {
	xmppFake
	down *bool
}

func (l linked) Up() bool { return !*l.down }

// repeatRig is a bridge with a journal.
type repeatRig struct {
	*Bridge
	s    *side
	j    *ledger
	down bool
}

func newRepeatRig(t *testing.T, j *ledger, change func(*mapping.RulesConfig, *Policy, *[]string)) *repeatRig {
	t.Helper()
	config := mapping.RulesConfig{
		GatewayDomain:    "sip.example.com",
		SIPHost:          "gw.example.com:5070",
		UserDomains:      []string{"example.com"},
		DefaultSIPDomain: "pbx.example.net",
	}
	var p Policy
	allow := []string{"example.com"}
	if change != nil {
		change(&config, &p, &allow)
	}
	var err error
	if p.Rules, err = mapping.NewRules(config); err != nil {
		t.Fatal(err)
	}
	if p.Access, err = mapping.NewAccess(allow); err != nil {
		t.Fatal(err)
	}
	r := &repeatRig{s: &side{}, j: j}
	if j == nil {
		j = &ledger{}
	}
	if j.journalFake == nil {
		j.journalFake = newJournalFake()
	}
	r.Bridge = New(linked{xmppFake{r.s}, &r.down}, sipFake{r.s}, j, Options{Policy: p, Secret: []byte("secret")}, slog.New(slog.DiscardHandler))
	return r
}

// stored is what the store gives back at the next start.
func (l *ledger) stored(now time.Time) (out []Seen) {
	for _, s := range l.seen {
		if now.Sub(s.At) < seenFor {
			out = append(out, s)
		}
	}
	return out
}

// identity is one request as the model sees it.
type identity struct {
	request func() *mapping.SIPMessage
	id      string // of its stanzas, once there was one

	ref      any // of the pending stanza, nil if none is
	waiting  []string
	repeated int // the status that repeats get, 0 if none is stored
	at       time.Time
}

// identities differ in one thing each.
func identities() (all []*identity) {
	for _, callID := range []string{"c1", "c2"} {
		for _, tag := range []string{"t1", "t2"} {
			for _, cseq := range []uint32{1, 2} {
				for _, from := range []string{"sip:romeo@pbx.example.net", "sip:romeo@example.net"} {
					for _, to := range []string{"sip:juliet@example.com", "sip:nurse@example.com"} {
						all = append(all, &identity{request: func() *mapping.SIPMessage {
							m := fromSIP(callID, from, to, "hi")
							m.FromTag, m.CSeq = tag, cseq
							return m
						}})
					}
				}
			}
		}
	}
	return all
}

// fates are what a stanza can come to, and what follows from it.
var fates = []struct {
	outcome          mapping.Outcome
	status, repeated int
}{
	{mapping.Outcome{Kind: mapping.Processed}, 200, 200},
	{mapping.Outcome{Kind: mapping.Processed, Doubtful: true}, 200, 200},
	{mapping.Outcome{Kind: mapping.Unknown}, 202, 202},
	{mapping.Outcome{Kind: mapping.Bounced, Failure: mapping.FailureFromStanza(mapping.CondItemNotFound, "", "x", "")}, 404, 404},
	{mapping.Outcome{Kind: mapping.Bounced, Failure: mapping.FailureFromStanza(mapping.CondServiceUnavailable, "", "", "")}, 480, 480},
	{mapping.Outcome{Kind: mapping.Bounced, Failure: mapping.FailureFromStanza(mapping.CondGone, "", "", "xmpp:a@example.com"), Doubtful: true}, 301, 410},
	{mapping.Outcome{Kind: mapping.Bounced, Failure: mapping.FailureFromStanza(mapping.CondRedirect, "", "", "xmpp:a@example.com")}, 302, 480},
	{mapping.Outcome{Kind: mapping.Bounced}, 400, 400},
	{mapping.Outcome{Kind: mapping.NotWritten, Failure: mapping.FailNoLink()}, 503, 0},
	{mapping.Outcome{Kind: mapping.NotWritten, Failure: mapping.FailBusy(1)}, 503, 0},
	{mapping.Outcome{Kind: mapping.Uncertain}, 503, 0},
	{mapping.Outcome{Kind: mapping.Refused, Failure: mapping.FailTooLarge(1)}, 413, 0},
}

// IM-27, IM-57: thousands of schedules of requests, repeats, outcomes, restarts and
// times against a reference: each identity is one stanza, until its outcome is over
// or was not one to be kept; every transaction gets exactly one answer, and all
// those of an identity the same; what is to outlive a restart is in the journal.
func TestRepeatsModel(t *testing.T) {
	for seed := range uint64(2000) {
		synctest.Test(t, func(t *testing.T) { repeatsModel(t, seed) })
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func repeatsModel(t *testing.T, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 27))
	r := newRepeatRig(t, &ledger{}, nil)
	all := identities()
	all = all[:1+rnd.IntN(len(all))]
	byID := map[string]*identity{}
	var answers []string // that are expected of this step
	transactions, kept := 0, 0

	request := func(step int) {
		var batch []mapping.Parcel[mapping.SIP]
		var fresh []*identity
		for range 1 + rnd.IntN(4) {
			transactions++
			tx := fmt.Sprint("tx", transactions)
			i := all[rnd.IntN(len(all))]
			batch = append(batch, mapping.Parcel[mapping.SIP]{Ref: tx, Value: i.request()})
			switch {
			case slices.Contains(fresh, i) || i.ref != nil:
				i.waiting = append(i.waiting, tx)
			case i.repeated != 0 && time.Since(i.at) < 10*time.Minute:
				answers = append(answers, fmt.Sprint(tx, " ", i.repeated))
			default:
				i.repeated, i.waiting = 0, []string{tx}
				fresh = append(fresh, i)
			}
		}
		r.FromSIP(batch)
		if len(r.s.stanzas) != len(fresh) {
			t.Fatalf("step %d: %d stanzas, want %d", step, len(r.s.stanzas), len(fresh))
		}
		for n, p := range r.s.stanzas {
			m := p.Value.(*mapping.XMPPMessage)
			if fresh[n].id == "" {
				fresh[n].id = m.ID
			}
			if other := byID[m.ID]; m.ID != fresh[n].id || other != nil && other != fresh[n] {
				t.Fatalf("step %d: the id is %s, want %s and nobody else's", step, m.ID, fresh[n].id)
			}
			byID[m.ID] = fresh[n]
			fresh[n].ref = p.Ref
		}
		r.s.stanzas = nil
	}
	settle := func(share int) {
		var batch []mapping.Result
		for _, i := range all {
			if i.ref == nil || rnd.IntN(share) != 0 {
				continue
			}
			fate := fates[rnd.IntN(len(fates))]
			batch = append(batch, mapping.Result{Ref: i.ref, Outcome: fate.outcome})
			for _, tx := range i.waiting {
				answers = append(answers, fmt.Sprint(tx, " ", fate.status))
			}
			i.ref, i.waiting, i.repeated, i.at = nil, nil, fate.repeated, time.Now()
			if fate.repeated != 0 {
				kept++
			}
		}
		r.XMPPOutcomes(batch)
	}
	restart := func() {
		for _, i := range all {
			i.ref, i.waiting = nil, nil // their transactions ended with the process
		}
		r = newRepeatRig(t, r.j, nil)
		r.RestoreSeen(r.j.stored(time.Now()))
	}

	for step := range 60 {
		answers = nil
		switch rnd.IntN(12) {
		case 0, 1, 2, 3, 4:
			request(step)
		case 5, 6, 7:
			settle(2)
		case 8:
			time.Sleep(time.Duration(rnd.IntN(5000)) * time.Millisecond)
		case 9:
			if rnd.IntN(3) == 0 {
				time.Sleep(10*time.Minute - time.Duration(rnd.IntN(2))*time.Millisecond)
			}
		case 10:
			r.tick()
		case 11:
			if rnd.IntN(4) == 0 {
				restart()
			}
		}
		check(t, r, step, answers)
	}
	answers = nil
	settle(1)
	check(t, r, -1, answers)
	if len(r.j.seen) != kept {
		t.Errorf("%d outcomes in the journal, want %d", len(r.j.seen), kept)
	}
	if err := r.Drain(context.Background()); err != nil || r.repeats.pending.n != 0 {
		t.Errorf("in the end %d requests are pending; Drain: %v", r.repeats.pending.n, err)
	}
}

// check compares the answers since the last check with what they should be.
func check(t *testing.T, r *repeatRig, step int, want []string) {
	t.Helper()
	var got []string
	for _, a := range r.s.answers {
		status, _ := a.Outcome.Final(200)
		got = append(got, fmt.Sprint(a.Ref, " ", status))
	}
	r.s.answers = nil
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Fatalf("step %d: answers %v, want %v", step, got, want)
	}
}
