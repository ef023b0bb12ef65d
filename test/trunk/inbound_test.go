package trunk

import (
	"strings"
	"testing"
)

// SIP-28, IM-16: whom a text is for is said by the Request-URI, or by To where that names
// the account; the host of To is never looked at.
func TestInbound(t *testing.T) {
	two := [][2]string{{"sip:5550001111@trunk.example", "juliet@example.com"}, {"sip:5550002222@trunk.example", "nurse@example.com"}}
	for name, c := range map[string]struct {
		change func(s *setting)
		to     string // the number that was dialled
		want   string // the user; "" is 404
	}{
		"the number":                    {func(s *setting) { s.aliases = two }, "5550002222", "nurse@example.com"},
		"garbage in To":                 {func(s *setting) { s.aliases = two; s.trunk.ToHost = "asterisk.invalid" }, "5550002222", "nurse@example.com"},
		"the account":                   {func(s *setting) { s.trunk.ToAccount = true }, "5550001111", "juliet@example.com"},
		"the account, one user":         {func(s *setting) { s.trunk.ToAccount = true }, "s", "juliet@example.com"},
		"the account, the number in To": {func(s *setting) { s.aliases = two; s.trunk.ToAccount = true }, "5550002222", "nurse@example.com"},
		"the account, garbage in To": {func(s *setting) {
			s.aliases = two
			s.trunk.ToAccount, s.trunk.ToHost = true, "192.0.2.200"
		}, "5550002222", "nurse@example.com"},
		"the account, two users":       {func(s *setting) { s.aliases = two; s.trunk.ToAccount = true }, "s", ""},
		"a number that nobody has":     {func(s *setting) {}, "5550003333", ""},
		"nothing advertised":           {func(s *setting) { s.advertise = "" }, "5550001111", "juliet@example.com"},
		"a route for all":              {func(s *setting) { s.route = "*" }, "5550001111", "juliet@example.com"},
		"a route for all, the account": {func(s *setting) { s.route, s.trunk.ToAccount = "*", true }, "s", "juliet@example.com"},
		"over TCP":                     {func(s *setting) { s.network = "tcp" }, "5550001111", "juliet@example.com"},
		"over TCP, the account":        {func(s *setting) { s.network, s.trunk.ToAccount = "tcp", true }, "s", "juliet@example.com"},
		"an extension of the same digits": {func(s *setting) {
			s.aliases = append(two[:1:1], [2]string{"sip:5550001111@pbx.example.net", "nurse@example.com"})
		}, "5550001111", "juliet@example.com"},
	} {
		t.Run(name, func(t *testing.T) {
			s := setting{advertise: "gw.example.com"}
			c.change(&s)
			play(t, s, func(w *world) {
				w.registered()
				status, st := w.receive("5551234567", c.to, "hi")
				if c.want == "" {
					if status != 404 || st.Raw != "" || !strings.Contains(w.log.String(), "[[alias]]") {
						w.Errorf("%d %s", status, st.Raw)
					}
					return
				}
				if status != 200 || st.To != c.want || st.From != friend || st.Body != "hi" {
					w.Errorf("%d %s", status, st.Raw)
				}
			})
		})
	}
}
