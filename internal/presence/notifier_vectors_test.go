package presence

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stoxgw/stox/mapping"
)

// vectorBodies are the bodies of the NOTIFY requests that a vector has the gateway send.
func vectorBodies(t *testing.T, id string) (bodies []string) {
	t.Helper()
	text, err := os.ReadFile("../../mapping/testdata/presence.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Vectors []struct {
			ID    string
			Steps []struct{ Dir, Net, Data string }
		}
	}
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	for _, v := range file.Vectors {
		for _, s := range v.Steps {
			if v.ID == id && s.Dir == "out" && s.Net == "sip" && strings.HasPrefix(s.Data, "NOTIFY") {
				_, body, _ := strings.Cut(s.Data, "\r\n\r\n")
				bodies = append(bodies, body)
			}
		}
	}
	if len(bodies) == 0 {
		t.Fatalf("there is no NOTIFY in %s", id)
	}
	return bodies
}

// The documents that watchers are sent are those of the vectors, to the byte (PRES-15, PRES-17
// to PRES-20).
func TestNotifierVectors(t *testing.T) {
	away := &mapping.Resource{Show: mapping.ShowAway}
	for _, tt := range []struct {
		id   string
		play func(h *harness, a *agent, said func())
	}{
		{"P-007", func(h *harness, a *agent, said func()) {
			a.subscribe(mapping.NoExpires)
			said()
			h.grant()
			said()
			h.show("yn0cl4bnw0yr3vym", mapping.Available, &mapping.Resource{Show: mapping.ShowDND, Status: []mapping.Text{{Value: "busy"}}, Priority: 13, HasPriority: true})
		}},
		{"P-008", func(h *harness, a *agent, said func()) {
			a.subscribe(3600)
			said()
			h.presence(julietJID, romeoJID, mapping.Unsubscribed)
		}},
		{"P-009", func(h *harness, a *agent, said func()) {
			h.grant()
			a.subscribe(3600)
		}},
		{"P-010", func(h *harness, a *agent, said func()) {
			h.grant()
			h.show("yn0cl4bnw0yr3vym", mapping.Available, nil)
			a.subscribe(600)
			h.answerAll(200)
			a.subscribe(0)
		}},
		{"P-012", func(h *harness, a *agent, said func()) {
			h.grant()
			h.show("yn0cl4bnw0yr3vym", mapping.Available, nil)
			a.subscribe(0)
		}},
		{"P-013", func(h *harness, a *agent, said func()) {
			h.grant()
			a.subscribe(600)
			h.show("yn0cl4bnw0yr3vym", mapping.Available, nil)
			h.answerAll(200)
			h.wait(notifySpacing)
			h.show("phone", mapping.Available, away)
		}},
		{"P-014", func(h *harness, a *agent, said func()) {
			h.grant()
			a.subscribe(600)
			h.FromXMPP([]mapping.XMPP{
				&mapping.XMPPPresence{From: mapping.MustParseJID(julietJID + "/yn0cl4bnw0yr3vym"), To: mapping.MustParseJID(romeoJID)},
				&mapping.XMPPPresence{From: mapping.MustParseJID(julietJID + "/phone"), To: mapping.MustParseJID(romeoJID), Shows: away},
			})
			h.answerAll(200)
			h.wait(notifySpacing)
			h.show("phone", mapping.Unavailable, nil)
		}},
	} {
		t.Run(tt.id, func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *harness) {
				var got []string
				said := func() {
					for _, p := range h.takeRequests() {
						got = append(got, string(p.Value.(*mapping.SIPNotify).Body))
						h.outcome(p.Ref, answer(200, nil))
					}
				}
				tt.play(h, h.agent("AA5A8BE5"), said)
				said()
				want := vectorBodies(t, tt.id)
				if !slices.Equal(got, want) {
					t.Errorf("sent\n%q\nwant\n%q", got, want)
				}
			})
		})
	}
}
