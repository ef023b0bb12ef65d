// Package vectors runs the exchanges of mapping/testdata/messages.json through a whole
// daemon: what is given to it on one side of the wire, what it must then do on either, and
// when. The XMPP server, the SIP network and the clock are in memory, so that a minute of
// waiting takes none.
package vectors

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

const vectorFile = "../../mapping/testdata/messages.json"

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
}

type route struct{ Domain, Via, Size string }

// readVectors reads the file, and every word of it: a field that is not known here would
// be one that is not played.
func readVectors(t *testing.T) []vector {
	t.Helper()
	b, err := os.ReadFile(vectorFile)
	if err != nil {
		t.Fatal(err)
	}
	var f struct {
		Schema, Description string
		Default             json.RawMessage `json:"default_config"`
		Vectors             []vector
	}
	if err := strictJSON(b, &f); err != nil {
		t.Fatal(err)
	}
	if f.Schema != "sip-xmpp-exchange-vectors/1" || len(f.Vectors) != 72 {
		t.Fatalf("schema %s, %d vectors", f.Schema, len(f.Vectors))
	}
	for i := range f.Vectors {
		v := &f.Vectors[i]
		if err := v.check(f.Default); err != nil {
			t.Fatalf("%s: %v", v.ID, err)
		}
	}
	return f.Vectors
}

func (v *vector) check(defaults json.RawMessage) error {
	if want := fmt.Sprintf("M-%03d", v.number()); v.ID != want || len(v.Req) == 0 || len(v.Steps) == 0 {
		return fmt.Errorf("not an exchange")
	}
	for _, c := range []json.RawMessage{defaults, v.Config} {
		if err := strictJSON(c, &v.settings); err != nil {
			return err
		}
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
	fmt.Sscanf(v.ID, "M-%d", &n)
	return n
}

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
