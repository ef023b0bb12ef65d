package bridge

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/stoxgw/stox/internal/hist"
	"github.com/stoxgw/stox/mapping"
)

// flowOf is a Flow without the distribution of its times.
func flowOf(f Flow) Flow {
	f.Took = hist.Histogram{N: f.Took.N, Sum: f.Took.Sum}
	return f
}

func differ(t *testing.T, what string, got, want Flow) {
	t.Helper()
	if diff := cmp.Diff(want, flowOf(got), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%s: -want +got\n%s", what, diff)
	}
}

// Each message from XMPP is counted once, when it has ended.
func TestStatsToSIP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newBridge(t)
		from := "juliet@example.com/x"
		b.FromXMPP([]mapping.XMPP{
			fromXMPP("a", from, "romeo@sip.example.com", "one"),
			fromXMPP("b", from, "romeo@sip.example.com", "two"),
			fromXMPP("c", from, "mercutio@sip.example.com", "three"),
			fromXMPP("d", from, "mercutio@sip.example.com", "four"),
			fromXMPP("e", from, "mercutio@sip.example.com", "five"),
			fromXMPP("f", from, "mercutio@sip.example.com", "six: one too many"),
			fromXMPP("g", "tybalt@elsewhere.example", "romeo@sip.example.com", "not allowed"),
		})
		st := b.Stats()
		if st.Early != 2 || st.Open != 2 || st.Lanes != 2 || st.Waiting != 3 || st.Unjournaled != 2 || st.Reports != 0 || st.Bytes == 0 {
			t.Errorf("under way: %+v", st)
		}
		differ(t, "under way", st.ToSIP, Flow{Refused: 2, Reasons: map[mapping.Condition]uint64{mapping.CondResourceConstraint: 1, mapping.CondForbidden: 1}})
		s.journal.commit()
		time.Sleep(20 * time.Millisecond)
		b.SIPOutcomes([]mapping.Result{{Ref: s.requests[0].Ref, Outcome: answered(200)}, {Ref: s.requests[1].Ref, Outcome: answered(404)}})
		s.journal.commit()
		time.Sleep(20 * time.Millisecond)
		st = b.Stats()
		differ(t, "two have ended", st.ToSIP, Flow{Delivered: 1, Failed: 1, Refused: 2, Took: hist.Histogram{N: 1, Sum: 0.02},
			Reasons: map[mapping.Condition]uint64{mapping.CondResourceConstraint: 1, mapping.CondForbidden: 1, mapping.CondItemNotFound: 1}})
		if st.Open != 2 || st.Waiting != 1 || st.Unjournaled > 2 {
			t.Errorf("the next two: %+v", st)
		}
		// One that is tried again has not ended.
		b.SIPOutcomes([]mapping.Result{{Ref: s.requests[2].Ref, Outcome: answered(503)}})
		if st = b.Stats(); st.Retries != 1 || st.ToSIP.Failed != 1 || st.Lanes != 2 || st.Open != 1 {
			t.Errorf("one waits for another attempt: %+v", st)
		}
	})
}

// Of a request from SIP its outcome is counted, not its repeats.
func TestStatsToXMPP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bounced := func(c mapping.Condition) mapping.Outcome {
			return mapping.Outcome{Kind: mapping.Bounced, Failure: mapping.FailureFromStanza(c, "", "", "")}
		}
		for _, c := range []struct {
			outcome mapping.Outcome
			want    Flow
		}{
			{mapping.Outcome{Kind: mapping.Processed}, Flow{Delivered: 1, Took: hist.Histogram{N: 1, Sum: 0.25}}},
			{mapping.Outcome{Kind: mapping.Unknown}, Flow{Unknown: 1}},
			{mapping.Outcome{Kind: mapping.Uncertain}, Flow{Uncertain: 1}},
			{mapping.Outcome{Kind: mapping.Processed, Doubtful: true}, Flow{Uncertain: 1}},
			{bounced(mapping.CondItemNotFound), Flow{Failed: 1, Reasons: map[mapping.Condition]uint64{mapping.CondItemNotFound: 1}}},
			{mapping.Outcome{Kind: mapping.Bounced, Failure: &mapping.Failure{Condition: "made-up", Status: 480}}, Flow{Failed: 1, Reasons: map[mapping.Condition]uint64{mapping.CondUndefinedCondition: 1}}},
			{mapping.Outcome{Kind: mapping.NotWritten}, Flow{Failed: 1, Reasons: map[mapping.Condition]uint64{mapping.CondRemoteServerTimeout: 1}}},
		} {
			r := newRepeatRig(t, &ledger{}, nil)
			r.take("tx", hi())
			r.take("joins", hi())
			if st := r.Stats(); st.Incoming != 1 {
				t.Errorf("%d requests are open", st.Incoming)
			}
			time.Sleep(250 * time.Millisecond)
			r.settle(c.outcome)
			r.take("refused", fromSIP("c2", "sip:romeo@pbx.example.net", "sip:juliet@unserved.example", "hi"))
			st := r.Stats()
			if c.want.Refused = 1; c.want.Reasons == nil {
				c.want.Reasons = make(map[mapping.Condition]uint64)
			}
			c.want.Reasons[mapping.CondItemNotFound]++ // nobody there is served
			differ(t, string(rune('0'+c.outcome.Kind)), st.ToXMPP, c.want)
			if st.Joined != 1 || st.Incoming != 0 {
				t.Errorf("%+v", st)
			}
		}
	})
}

// What was told of earlier does not change.
func TestStatsAreCopies(t *testing.T) {
	b, s := newBridge(t)
	b.FromXMPP([]mapping.XMPP{fromXMPP("a", "tybalt@elsewhere.example", "romeo@sip.example.com", "one")})
	before := b.Stats()
	b.FromXMPP([]mapping.XMPP{fromXMPP("b", "tybalt@elsewhere.example", "romeo@sip.example.com", "one")})
	if n := before.ToSIP.Reasons[mapping.CondForbidden]; n != 1 || b.Stats().ToSIP.Reasons[mapping.CondForbidden] != 2 {
		t.Errorf("%d at first", n)
	}
	if len(s.stanzas) != 2 {
		t.Errorf("%d errors", len(s.stanzas))
	}
}

// A Run that does not look when something is due is behind; one that does is not.
func TestBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newBridge(t)
		b.FromXMPP([]mapping.XMPP{fromXMPP("a", "juliet@example.com/x", "romeo@sip.example.com", "one")})
		s.journal.commit()
		b.SIPOutcomes([]mapping.Result{{Ref: s.requests[0].Ref, Outcome: answered(503)}}) // tried again within seconds
		time.Sleep(time.Minute)
		if behind := b.Stats().Behind; behind < 50*time.Second {
			t.Errorf("without a Run it is behind by %v", behind)
		}
		b.tick()
		if behind := b.Stats().Behind; behind != 0 {
			t.Errorf("then it is behind by %v", behind)
		}
	})
}
