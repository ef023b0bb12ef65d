package app

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/stoxgw/stox/mapping"
)

// fakeDesk notes what it is given.
type fakeDesk struct{ got []string }

type fakeDeskRef int

func (fakeDeskRef) OfDesk() {}

func (d *fakeDesk) Command(c *mapping.XMPPCommand)   { d.got = append(d.got, "command "+c.ID) }
func (d *fakeDesk) Register(r *mapping.XMPPRegister) { d.got = append(d.got, "register "+r.ID) }
func (d *fakeDesk) Outcome(r mapping.Result) {
	d.got = append(d.got, fmt.Sprint("outcome ", r.Ref, " ", r.Outcome.Kind))
}

// What is for the desk reaches it, and nobody else: there is nobody else here.
func TestDesk(t *testing.T) {
	d := &fakeDesk{}
	m := middle{desk: d}
	batch := []mapping.XMPP{&mapping.XMPPCommand{ID: "1"}, &mapping.XMPPRegister{ID: "2"}, &mapping.XMPPCommand{ID: "3"}}
	m.FromXMPP(batch)
	m.XMPPOutcomes([]mapping.Result{{Ref: fakeDeskRef(4), Outcome: mapping.Outcome{Kind: mapping.Processed}}, {Ref: fakeDeskRef(5), Outcome: mapping.Outcome{Kind: mapping.Refused}}})
	if got, want := strings.Join(d.got, ", "), "command 1, register 2, command 3, outcome 4 1, outcome 5 7"; got != want {
		t.Errorf("the desk was given %s, want %s", got, want)
	}
	middle{}.FromXMPP(batch) // without a desk nobody takes it
}

// Whatever a batch has, all of it is handed on in its order.
func TestInTurn(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		batch := rapid.SliceOf(rapid.IntRange(0, 9)).Draw(rt, "batch")
		var got []int
		inTurn(batch, func(v int) bool { return v > 6 },
			func(v int) {
				if v <= 6 {
					rt.Errorf("%d is one of the others", v)
				}
				got = append(got, v)
			},
			func(others []int) {
				if len(others) == 0 {
					rt.Error("an empty batch")
				}
				for _, v := range others {
					if v > 6 {
						rt.Errorf("%d is none of the others", v)
					}
				}
				got = append(got, others...)
			})
		if fmt.Sprint(got) != fmt.Sprint(batch) {
			rt.Errorf("%v came as %v", batch, got)
		}
	})
}
