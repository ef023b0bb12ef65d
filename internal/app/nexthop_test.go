package app

import "testing"

// TestNextHop: sips: asks for TLS on the way, and for nothing that has none.
func TestNextHop(t *testing.T) {
	for via, want := range map[string]string{
		"sip:pbx.example":                   "",
		"sip:pbx.example;transport=udp":     "udp",
		"sips:pbx.example":                  "tls",
		"SIPS:pbx.example:5071":             "tls",
		"sips:pbx.example;transport=tcp":    "tls",
		"sips:pbx.example;transport=TLS;lr": "tls",
		"sips:pbx.example;transport=ws":     "wss",
		"sips:pbx.example;transport=wss":    "wss",
		"sips:pbx.example;transport=udp":    "fault",
		"sips:pbx.example;transport=sctp":   "fault",
	} {
		u, err := NextHop(via)
		got := u.Transport
		if err != nil {
			got = "fault"
		}
		if got != want || err == nil && (u.Scheme != "sip" || u.Host != "pbx.example") {
			t.Errorf("%s: %v, %q, want %q", via, u, got, want)
		}
	}
}
