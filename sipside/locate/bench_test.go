package locate

import (
	"testing"

	"github.com/stoxgw/stox/internal/dnstest"
)

// What a lookup costs whose answers are all remembered.
func BenchmarkRemembered(b *testing.B) {
	l := newDirect(dnstest.New(zone{
		example:                  {`60 NAPTR 10 0 "s" "SIPS+D2T" "" _sips._tcp.example.net.`, `60 NAPTR 20 0 "s" "SIP+D2T" "" _sip._tcp.example.net.`},
		"_sips._tcp.example.net": {"60 SRV 0 0 5061 a.example.net.", "60 SRV 1 0 5061 b.example.net."},
		"_sip._tcp.example.net":  {"60 SRV 0 0 5060 a.example.net.", "60 SRV 1 0 5060 b.example.net."},
		"a.example.net":          {"60 A 192.0.2.1"}, "b.example.net": {"60 A 192.0.2.2"},
	}), newClock())
	q := Query{Host: example, Supports: all}
	b.ReportAllocs()
	for b.Loop() {
		if a, err := l.Locate(b.Context(), q); err != nil || len(a.Targets) != 4 {
			b.Fatal(list(a.Targets), err)
		}
	}
}
