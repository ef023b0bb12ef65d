// Package vectors runs the exchanges of mapping/testdata/messages.json and presence.json through a whole
// daemon: what is given to it on one side of the wire, what it must then do on either, and
// when. The XMPP server, the SIP network and the clock are in memory, so that a minute of
// waiting takes none.
package vectors

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// The files of the exchanges, with what their ids begin with and how many there are.
var vectorFiles = []struct {
	name, prefix string
	count        int
}{
	{"messages.json", "M", 72},
	{"presence.json", "P", 18},
}

// vector is one exchange.
type vector struct {
	ID, Title, Src, Profile, Note string
	Req                           []string
	Config                        json.RawMessage
	State, After                  map[string]json.RawMessage
	Steps                         []step

	settings settings              // default_config with Config on top
	script   func(p *player) error // what happens, where no steps say it
}

// step is one thing that happens. Dir is
//
//	in     data comes to the gateway
//	out    data must come from it, within patience
//	none   nothing may come from it on this net until the next in or wait, at the end of
//	       a vector within patience
//	wait   the clock moves on by so many seconds
//
// What comes on one net comes in the order of the steps; the nets are independent of each
// other between two in or wait.
type step struct {
	Dir, Net string
	Data     string
	BodyHex  string `json:"body_hex"` // octets that follow Data
}

const (
	dirIn   = "in"
	dirOut  = "out"
	dirNone = "none"
	dirWait = "wait"

	netXMPP = "xmpp"
	netSIP  = "sip"
)

// settings are the configuration of a vector, in the vectors' own names.
type settings struct {
	GatewayDomain    string   `json:"gateway_domain"`
	XMPPDomains      []string `json:"xmpp_domains"`
	SIPHost          string   `json:"sip_host"`
	DefaultSIPDomain string   `json:"default_sip_domain"`
	DomainMap        []struct {
		XMPP, SIP string
	} `json:"domain_map"`
	Route          []route
	SuccessCode    int              `json:"success_code"`
	MaxMessage     int              `json:"max_message_bytes"`
	LateErrors     string           `json:"late_errors"`
	FailureNotice  bool             `json:"failure_notice"`
	SIPCredentials []map[string]any `json:"sip_credentials"`
	Expired        string
	IMDN           string
	Composing      string
	HTML           string
	FromGR         bool `json:"from_gr"`
	Chat           *bool
	Now            time.Time

	UserRate int `json:"-"` // limits.user_rate; no vector is about it

	// Constants of presence: what the vectors take for granted.
	Expires       int
	MinExpires    int `json:"min_expires"`
	NotifySpacing int `json:"notify_spacing_s"`
}

type route struct{ Domain, Via, Size string }

// readVectors reads the files, and every word of them: a field that is not known here would
// be one that is not played. What a file says of the configuration of all of its vectors
// holds for those of the later ones, too.
func readVectors(t *testing.T) (all []vector) {
	t.Helper()
	var defaults []json.RawMessage
	for _, file := range vectorFiles {
		b, err := os.ReadFile("../../mapping/testdata/" + file.name)
		if err != nil {
			t.Fatal(err)
		}
		var f struct {
			Schema, Description string
			Default             json.RawMessage `json:"default_config"`
			Vectors             []vector
			// What mapping plays (TestPriorityVectors).
			ToPIDF   json.RawMessage `json:"priority_xmpp_to_pidf"`
			FromPIDF json.RawMessage `json:"priority_pidf_to_xmpp"`
		}
		if err := strictJSON(b, &f); err != nil {
			t.Fatal(err)
		}
		if f.Schema != "sip-xmpp-exchange-vectors/1" || len(f.Vectors) != file.count {
			t.Fatalf("%s: schema %s, %d vectors", file.name, f.Schema, len(f.Vectors))
		}
		defaults = append(defaults, f.Default)
		for i := range f.Vectors {
			v := &f.Vectors[i]
			if err := v.check(file.prefix, defaults); err != nil {
				t.Fatalf("%s: %v", v.ID, err)
			}
		}
		all = append(all, f.Vectors...)
	}
	return all
}

func (v *vector) check(prefix string, defaults []json.RawMessage) error {
	if want := fmt.Sprintf("%s-%03d", prefix, v.number()); v.ID != want || len(v.Req) == 0 || len(v.Steps) == 0 {
		return fmt.Errorf("not an exchange")
	}
	for _, c := range append(slices.Clone(defaults), v.Config) {
		if err := strictJSON(c, &v.settings); err != nil {
			return err
		}
	}
	if n := v.settings.NotifySpacing; n != 0 && (n != 5 || v.settings.Expires != 3600 || v.settings.MinExpires != 60) {
		return fmt.Errorf("constants of presence: %+v", v.settings)
	}
	for _, s := range v.Steps {
		good := s.Net == netXMPP || s.Net == netSIP
		switch s.Dir {
		case dirIn, dirOut:
			good = good && s.Data != ""
		case dirNone:
			good = good && s.Data == ""
		case dirWait:
			_, err := time.ParseDuration(s.Data + "s")
			good = s.Net == "clock" && err == nil
		default:
			good = false
		}
		if !good {
			return fmt.Errorf("step %q %q", s.Dir, s.Net)
		}
	}
	return nil
}

func (v *vector) number() (n int) {
	_, digits, _ := strings.Cut(v.ID, "-")
	fmt.Sscanf(digits, "%d", &n)
	return n
}

// ofPresence reports whether presence is what the vector is about.
func (v *vector) ofPresence() bool { return strings.HasPrefix(v.ID, "P-") }

// seconds is how long a wait is.
func (s step) seconds() time.Duration {
	d, _ := time.ParseDuration(s.Data + "s")
	return d
}

// state is a word of the preset state, "" if it is not said.
func (v *vector) state(key string) (word string) {
	json.Unmarshal(v.State[key], &word)
	return word
}

// overTCP reports whether the gateway is to send requests over TCP.
func (v *vector) overTCP() bool {
	for _, s := range v.Steps {
		if s.Dir == dirOut && s.Net == netSIP && !strings.HasPrefix(s.Data, "SIP/2.0 ") && strings.Contains(s.Data, "\r\nVia: SIP/2.0/TCP ") {
			return true
		}
	}
	return false
}

func strictJSON(b []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	return d.Decode(into)
}
