package mapping

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"strings"
	"testing"
)

// addressVector is a row of testdata/addresses.json. A row names its requirements
// itself (ADDR-01 to ADDR-26, GW-01, SEC-14).
type addressVector struct {
	ID, Dir, Role, In string
	Out               *string
	Error             *struct {
		Reason        Reason
		SIPCode       *int       `json:"sip_code"`
		XMPPCondition *Condition `json:"xmpp_condition"`
	}
	Config            map[string]json.RawMessage
	Req               []string
	Src, Note         string
	Roundtrip         bool
	Lossy             *string
	Toward            string
	TargetScheme      string `json:"target_scheme"`
	ResourceKnownAsGR *bool  `json:"resource_known_as_gr"`
}

func (v *addressVector) device() bool { return v.ResourceKnownAsGR == nil || *v.ResourceKnownAsGR }

type addressFile struct {
	Schema, Description string
	DefaultConfig       map[string]json.RawMessage `json:"default_config"`
	Vectors             []addressVector
}

func readAddresses(t testing.TB) addressFile {
	t.Helper()
	b, err := os.ReadFile("testdata/addresses.json")
	if err != nil {
		t.Fatal(err)
	}
	var f addressFile
	if err := strictJSON(b, &f); err != nil {
		t.Fatal(err)
	}
	for i := range f.Vectors {
		v := &f.Vectors[i]
		if c, ok := corrected[v.ID]; ok {
			v.Config = maps.Clone(v.Config)
			maps.Copy(v.Config, c)
		}
	}
	return f
}

// corrected has the rows whose configuration contradicts them.
// take hans@bücher.example for a SIP account although the default configuration
// serves that domain to XMPP users: SEC-28 forbids to map it as a
// sender, and an answer would come from the XMPP user (ADDR-20). They are right
// where the domain is not served; TestServedDomainIsNoContact has the other case.
var corrected = map[string]map[string]json.RawMessage{
	"A-046": {"xmpp_domains": json.RawMessage(`["example.com","xmpp.example"]`)},
	"A-084": {"xmpp_domains": json.RawMessage(`["example.com","xmpp.example"]`)},
}

// SEC-28, ADDR-20: with the domain served.
func TestServedDomainIsNoContact(t *testing.T) {
	r := readAddresses(t).rules(t, nil)
	if j, err := r.Sender(MustParseURI("sip:hans@xn--bcher-kva.example")); ReasonOf(err) != ReasonForbidden || !j.IsZero() {
		t.Errorf("%s, %v", j, err)
	}
	for _, s := range []string{`hans\40bücher.example@sip.example.com`, `hans\40xn--bcher-kva.example@sip.example.com`} {
		_, err := r.SIPAddress(MustParseJID(s))
		if ReasonOf(err) != ReasonItemNotFound || !strings.Contains(err.(*Failure).Text, " hans@bücher.example.") {
			t.Errorf("%s: %v", s, err)
		}
	}
}

func strictJSON(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

// vectorRules are the rules of the default configuration with c on top.
func (f addressFile) rules(t testing.TB, c map[string]json.RawMessage) *Rules {
	t.Helper()
	all := maps.Clone(f.DefaultConfig)
	maps.Copy(all, c)
	b, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	var v struct {
		GatewayDomain    string       `json:"gateway_domain"`
		SIPGatewayHost   string       `json:"sip_gateway_host"`
		XMPPDomains      []string     `json:"xmpp_domains"`
		DomainMap        []DomainPair `json:"domain_map"`
		DefaultSIPDomain *string      `json:"default_sip_domain"`
		PhoneDomain      *string      `json:"phone_domain"`
		Route            []RouteRule
		Alias            []Alias
	}
	if err := strictJSON(b, &v); err != nil {
		t.Fatal(err)
	}
	rc := RulesConfig{GatewayDomain: v.GatewayDomain, SIPHost: v.SIPGatewayHost, UserDomains: v.XMPPDomains,
		Domains: v.DomainMap, Routes: v.Route, Aliases: v.Alias}
	if v.DefaultSIPDomain != nil {
		rc.DefaultSIPDomain = *v.DefaultSIPDomain
	}
	if v.PhoneDomain != nil {
		rc.PhoneDomain = *v.PhoneDomain
	}
	r, err := NewRules(rc)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (v *addressVector) toXMPP(r *Rules, in string) (JID, error) {
	u, err := ParseURI(in)
	if err != nil {
		return JID{}, err
	}
	if v.Role == "xmpp-user" {
		return r.Recipient(u)
	}
	return r.Sender(u)
}

func (v *addressVector) toSIP(r *Rules, in string) (URI, error) {
	j, err := ParseJID(in)
	if err != nil {
		return URI{}, err
	}
	var u URI
	switch {
	case v.Role == "xmpp-user":
		u, err = r.SIPIdentity(j, v.Toward)
	case v.device():
		u, err = r.SIPDevice(j)
	default:
		u, err = r.SIPAddress(j)
	}
	if v.TargetScheme != "" && err == nil {
		u = u.WithScheme(v.TargetScheme)
	}
	return u, err
}

// Every row of the vectors, in both directions where the row says so.
func TestAddressVectors(t *testing.T) {
	f := readAddresses(t)
	if len(f.Vectors) != 114 {
		t.Fatalf("%d vectors, want 114", len(f.Vectors))
	}
	named := regexp.MustCompile(`the text names (\S+)$`)
	for _, v := range f.Vectors {
		t.Run(v.ID, func(t *testing.T) {
			r := f.rules(t, v.Config)
			there := func(in string) (string, error) { j, err := v.toXMPP(r, in); return j.String(), err }
			back := func(in string) (string, error) { u, err := v.toSIP(r, in); return u.String(), err }
			if v.Dir == "xmpp2sip" {
				there, back = back, there
			} else if v.Dir != "sip2xmpp" {
				t.Fatalf("direction %q", v.Dir)
			}
			out, err := there(v.In)

			if v.Error != nil {
				if got := ReasonOf(err); got != v.Error.Reason {
					t.Fatalf("%s: %q, %v (reason %q), want reason %q", v.In, out, err, got, v.Error.Reason)
				}
				f := err.(*Failure)
				if c := v.Error.SIPCode; c != nil && f.Status != *c {
					t.Errorf("status %d, want %d", f.Status, *c)
				}
				if c := v.Error.XMPPCondition; c != nil && f.Condition != *c {
					t.Errorf("condition %s, want %s", f.Condition, *c)
				}
				if m := named.FindStringSubmatch(v.Note); m != nil && !strings.Contains(f.Text, " "+m[1]+".") {
					t.Errorf("the text does not name %s: %s", m[1], f.Text)
				}
				return
			}

			if err != nil || out != *v.Out {
				t.Fatalf("%s: %q, %v, want %q", v.In, out, err, *v.Out)
			}
			again, err := back(out)
			if v.Roundtrip && (err != nil || again != v.In) {
				t.Errorf("%s came back as %q, %v", v.In, again, err)
			}
			if v.Dir == "sip2xmpp" {
				// Whatever is lost of the SIP address, the JID is the one that answers (ADDR-20).
				if third, e := there(again); err != nil || e != nil || bareOf(third) != bareOf(out) {
					t.Errorf("%s answers as %q (%v, %v), not as %s", again, third, err, e, out)
				}
				// In whichever role it is read, it is the same address.
				if j, err := r.XMPPAddress(MustParseURI(v.In)); err != nil || j.String() != out {
					t.Errorf("XMPPAddress: %s, %v", j, err)
				}
			}
		})
	}
}

func bareOf(j string) string {
	b, _, _ := strings.Cut(j, "/")
	return b
}

// Explain says what the mapping does, for each row.
func TestExplainVectors(t *testing.T) {
	f := readAddresses(t)
	for _, v := range f.Vectors {
		if v.TargetScheme != "" || v.Toward != "" && v.Dir == "xmpp2sip" {
			continue // it explains sip:, toward nobody in particular
		}
		e := f.rules(t, v.Config).Explain(v.In)
		want := ""
		switch {
		case v.Out == nil && v.Error.Reason == ReasonNotServed:
			continue // it is asked for the address, not whether SIP may write to it
		case v.Out == nil:
			if ReasonOf(e.Err) != v.Error.Reason || e.Result != "" || len(e.Steps) == 0 {
				t.Errorf("%s %s: %+v", v.ID, v.In, e)
			}
			continue
		case v.Dir == "xmpp2sip" && v.Role == "sip-user":
			want, _, _ = strings.Cut(*v.Out, ";gr=")
		default:
			want = *v.Out
		}
		if e.Err != nil || e.Result != want || len(e.Steps) == 0 {
			t.Errorf("%s %s: %+v, want %s", v.ID, v.In, e, want)
		}
	}
}
