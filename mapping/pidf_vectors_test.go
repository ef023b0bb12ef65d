package mapping

import (
	"encoding/json"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// presenceVectors is testdata/presence.json, as far as its documents go.
type presenceVectors struct {
	ToPIDF []struct {
		XMPP int8
		PIDF string
	} `json:"priority_xmpp_to_pidf"`
	ToXMPP []struct {
		PIDF *string
		XMPP int8
	} `json:"priority_pidf_to_xmpp"`
	Vectors []struct {
		ID    string
		State struct {
			Subscription struct{ Known map[string]string }
			Presence     map[string][]struct{ Resource, Show string }
			Notifier     struct{ Resources []string } `json:"notifier_dialog"`
		}
		Steps []struct{ Dir, Net, Data string }
	}
}

func readPresenceVectors(t *testing.T) (v presenceVectors) {
	t.Helper()
	b, err := os.ReadFile("testdata/presence.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// PRES-18: both tables of priorities.
func TestPriorityVectors(t *testing.T) {
	v := readPresenceVectors(t)
	if len(v.ToPIDF) != 128 || len(v.ToXMPP) != 14 {
		t.Fatalf("%d and %d rows", len(v.ToPIDF), len(v.ToXMPP))
	}
	for _, row := range v.ToPIDF {
		if got := writePriority(row.XMPP); got != row.PIDF {
			t.Errorf("%d is written %s, want %s", row.XMPP, got, row.PIDF)
		}
	}
	for _, row := range v.ToXMPP {
		s := ""
		if row.PIDF != nil {
			s = *row.PIDF
		}
		p, err := strconv.ParseFloat(s, 64)
		said := err == nil && p <= 1
		if got, ok := readPriority(s); got != row.XMPP || ok != said {
			t.Errorf("%q is read as %d, %v, want %d, %v", s, got, ok, row.XMPP, said)
		}
	}
}

// PRES-15 to PRES-21: the documents of the exchanges, written byte for byte, and read.
func TestPIDFVectors(t *testing.T) {
	var written, read []string
	for _, v := range readPresenceVectors(t).Vectors {
		var resources, known []Resource
		for _, of := range v.State.Presence {
			for _, r := range of {
				resources = append(resources, Resource{Name: r.Resource, Open: true, Show: Show(r.Show)})
			}
		}
		for _, name := range v.State.Notifier.Resources { // the watcher leaves (PRES-13)
			resources = append(resources, Resource{Name: name})
		}
		for name, what := range v.State.Subscription.Known {
			if what == "available" {
				known = append(known, Resource{Name: name, Open: true})
			}
		}
		var want []string // stanzas
		for _, s := range v.Steps {
			_, body, _ := strings.Cut(s.Data, "\r\n\r\n")
			switch {
			case s.Net == "xmpp" && s.Data != "":
				p := readPresence(t, []byte(s.Data))[0]
				_, name, full := strings.Cut(p.From, "/")
				if s.Dir == "out" && (p.Type == "" || p.Type == "unavailable") && len(want) > 0 {
					if s.Data != want[0] {
						t.Errorf("%s: shown as %s, want %s", v.ID, want[0], s.Data)
					}
					want = want[1:]
				}
				if s.Dir == "in" && full {
					resources = slices.DeleteFunc(resources, func(r Resource) bool { return r.Name == name })
					if p.Type == "" {
						resources = append(resources, p.resource())
					}
				}
			case body == "":
			case s.Dir == "out":
				got := string(AppendPIDF([]byte("x"), MustParseURI("sip:juliet@example.com"), resources, PIDFOptions{}))
				if got != "x"+body {
					t.Errorf("%s: written\n%s, want\n%s", v.ID, got, body)
				}
				written = append(written, v.ID)
			default:
				d := mustReadPIDF(t, body)
				if got := d.Entity.String(); got != "pres:romeo@example.net" {
					t.Errorf("%s: about %s", v.ID, got)
				}
				c := CompareResources(known, d.Resources())
				for _, r := range append(c.Gone, c.Changed...) {
					want = append(want, printPresence("romeo@example.net", "juliet@example.com", r))
				}
				read = append(read, v.ID)
			}
		}
		if len(want) > 0 {
			t.Errorf("%s: %q is shown, and not wanted", v.ID, want)
		}
	}
	if !slices.Equal(written, []string{"P-007", "P-010", "P-012", "P-013", "P-014"}) || !slices.Equal(read, []string{"P-001", "P-011", "P-015"}) {
		t.Errorf("documents of %v written, of %v read", written, read)
	}
}
