package sipside

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stoxgw/stox/mapping"
)

const testInstance = "urn:uuid:f81d4fae-7dec-51d0-a765-00a0c91e6bf6"

// TestReadGrant: which of the bindings in a 2xx is ours, and how long it lasts (RFC 3261
// §10.2.4).
func TestReadGrant(t *testing.T) {
	const ours = "<sip:stox@gw.example.org:5070;transport=tcp>"
	instance := `;+sip.instance="<URN:UUID:f81d4fae-7dec-51d0-a765-00a0c91e6bf6>";reg-id=1`
	many := strings.Repeat("<sip:x@203.0.113.7>;expires=9,", 10_000)
	for name, tt := range map[string]struct {
		contacts []string
		expires  string
		want     int // seconds; 0: not granted
	}{
		"its own time":                 {[]string{ours + ";expires=120"}, "60", 120},
		"that of the whole answer":     {[]string{ours}, "60", 60},
		"what was asked for":           {[]string{ours}, "", 600},
		"in quotes":                    {[]string{ours + `;expires="120"`}, "", 120},
		"garbage":                      {[]string{ours + ";expires=-5"}, "soon", 600},
		"garbage, and a good one":      {[]string{ours + ";expires=1e3"}, "90", 90},
		"more than there is":           {[]string{ours + ";expires=99999999999999999999"}, "", 86400},
		"nothing":                      {[]string{ours + ";expires=0"}, "", 0},
		"none":                         {nil, "600", 0},
		"empty":                        {[]string{"", ",,"}, "600", 0},
		"all gone":                     {[]string{"*"}, "600", 0},
		"others":                       {[]string{"<sip:a@203.0.113.7>, <sip:stox@203.0.113.8>;expires=5"}, "", 0},
		"others' too":                  {[]string{`"a, b" <sip:a@203.0.113.7>;expires=5, ` + ours + ";expires=120", "<sip:stox@gw.example.org>;expires=7"}, "", 120},
		"another case":                 {[]string{"<SIP:stox@GW.example.org:5070;Transport=TCP;x=y>;Expires=120"}, "", 120},
		"another port":                 {[]string{"<sip:stox@gw.example.org:5071;transport=tcp>, <sip:stox@gw.example.org:5072;transport=tcp>"}, "", 0},
		"changed on the way":           {[]string{"<sip:stox@198.51.100.7:40000>;expires=120"}, "", 120},
		"changed, and a stranger's":    {[]string{"<sip:other@198.51.100.7:40000>;expires=120"}, "", 0},
		"changed, with our instance":   {[]string{"<sip:stox@203.0.113.7>;expires=5, <sip:stox@198.51.100.7:40000>;expires=120" + instance}, "", 120},
		"an instance of somebody else": {[]string{"<sip:stox@203.0.113.7>, <sip:stox@203.0.113.8>" + strings.Replace(instance, "f8", "f9", 1)}, "", 0},
		"no URI":                       {[]string{`<sip:, "`, "<>", "sip:", ours + ";expires=120"}, "", 120},
		"ten thousand":                 {[]string{many}, "", 0},
		"ours before ten thousand":     {[]string{ours + ";expires=120", many}, "", 120},
	} {
		t.Run(name, func(t *testing.T) {
			f := fields{contacts: tt.contacts, expires: tt.expires}
			u, err := mapping.ParseURI(strings.Trim(ours, "<>"))
			if err != nil {
				t.Fatal(err)
			}
			g, ok := readGrant(&f, u, testInstance, 600*time.Second, false)
			if ok != (tt.want > 0) || ok && g.expires != time.Duration(tt.want)*time.Second {
				t.Errorf("%v %v, want %d s", g, ok, tt.want)
			}
		})
	}
}

// TestFlowTimer: RFC 5626 §4.4 and §6: what the registrar says of its side of the flow.
func TestFlowTimer(t *testing.T) {
	u := mapping.URI{Scheme: "sip", User: "stox", Host: "gw.example.org"}
	for timer, want := range map[string]time.Duration{"": 0, "120": 120 * time.Second, "0": 0, "1": leastFlow, "86400": mostFlow, "x": 0} {
		f := fields{contacts: []string{"<" + u.String() + ">"}, flowTimer: timer, require: []string{"path, Outbound"}}
		if g, ok := readGrant(&f, u, "", time.Minute, false); !ok || g.flowTimer != want || !g.outbound {
			t.Errorf("%q: %+v %v", timer, g, ok)
		}
	}
}

// TestPaces: pauses grow and are bounded, and one kind of trouble ends the other.
func TestPaces(t *testing.T) {
	var p paces
	want := 30 * time.Second
	for i := range 100 {
		between(t, fmt.Sprint("failure ", i), p.failed(0), want/2, want)
		want = min(2*want, 30*time.Minute)
	}
	between(t, "Retry-After", p.failed(40*time.Minute), 40*time.Minute, 40*time.Minute)
	between(t, "Retry-After of a day", p.failed(24*time.Hour), time.Hour, time.Hour)
	want = 10 * time.Minute
	for i := range 100 {
		between(t, fmt.Sprint("refusal ", i), p.refused(), want, want+want/10)
		want = min(2*want, 2*time.Hour)
	}
	between(t, "a failure after refusals", p.failed(0), 15*time.Second, 30*time.Second)
	between(t, "a refusal after a failure", p.refused(), 10*time.Minute, 11*time.Minute)
	p.worked()
	between(t, "the first again", p.refused(), 10*time.Minute, 11*time.Minute)
}

// TestRefreshAfter: early enough for another try before the end, and not before it is of use.
func TestRefreshAfter(t *testing.T) {
	for s := 1; s <= 86400; s += 1 + s/50 {
		granted := time.Duration(s) * time.Second
		for range 20 {
			d := refreshAfter(granted)
			switch {
			case granted < 2*leastRefresh:
				between(t, granted.String(), d, leastRefresh, leastRefresh)
			case granted < shortBinding:
				between(t, granted.String(), d, granted/2, granted/2)
			default:
				between(t, granted.String(), d, min(granted*8/10, granted-spareTime), min(granted*9/10, granted-spareTime))
			}
		}
	}
}

// FuzzReadGrant: whatever a registrar says, a grant is a time that can be worked with.
func FuzzReadGrant(f *testing.F) {
	f.Add("<sip:stox@gw.example.org>;expires=60", "5", "120", "outbound")
	f.Add(`"a,b" <sip:x@y;z>;expires="`, "-1", "99999999999999999999", ",,")
	f.Add("*,sip:stox@gw.example.org;expires=1;+sip.instance=\"<"+testInstance+">\"", "", "", "")
	ours := mapping.URI{Scheme: "sip", User: "stox", Host: "gw.example.org"}
	f.Fuzz(func(t *testing.T, contact, expires, flow, require string) {
		h := fields{contacts: []string{contact, contact}, expires: expires, flowTimer: flow, require: []string{require}}
		g, ok := readGrant(&h, ours, testInstance, time.Minute, false)
		if ok && (g.expires <= 0 || g.expires > longestBinding || g.flowTimer != 0 && (g.flowTimer < leastFlow || g.flowTimer > mostFlow)) {
			t.Errorf("%+v", g)
		}
		if d := refreshAfter(g.expires); ok && (d < leastRefresh || d > max(g.expires, leastRefresh)) {
			t.Errorf("%v again after %v", g.expires, d)
		}
	})
}
