package component

import (
	"strings"
	"testing"
	"testing/synctest"

	"gosrc.io/xmpp/stanza"

	"github.com/stoxgw/stox/internal/xmpptest"
	"github.com/stoxgw/stox/mapping"
)

// GW-33, auto: single where the server says that it is Prosody, else, and until
// it has said so, settled. Another domain is asked for itself.
func TestBarrierAuto(t *testing.T) {
	for _, tt := range []struct {
		software, to string
		single       bool
	}{
		{"Prosody", "juliet@example.com", true},
		{"prosody", "juliet@example.com", true},
		{"ejabberd", "juliet@example.com", false},
		{"Not Prosody", "juliet@example.com", false},
		{xmpptest.SoftwareNone, "juliet@example.com", false},
		{"Prosody", "benvolio@example.net", true},
		{"ejabberd", "benvolio@example.net", false},
		{xmpptest.SoftwareNone, "benvolio@example.net", false},
	} {
		synctest.Test(t, func(t *testing.T) {
			var h held
			opt := h.options()
			opt.Software = tt.software
			r, conn := memory(t, opt, nil)
			r.Deliver(parcels(to("a", tt.to)))
			b := h.takeN(t, 1)[0]
			if tt.to == "juliet@example.com" {
				conn.Echo(b)
			} else {
				conn.Result(b)
			}
			want := none
			if tt.single {
				want = mapping.Processed
			}
			r.expect(t, tt.software+" "+tt.to, map[string]mapping.OutcomeKind{"a": want})
			r.stop()
		})
	}
	for name, want := range map[string]mapping.OutcomeKind{"Prosody": mapping.Processed, "ejabberd": none, "": none} {
		t.Run("says no version, and is called "+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var h held
				opt := h.options()
				pings := opt.OnIQ
				opt.OnIQ = func(c *xmpptest.Conn, st xmpptest.Stanza) bool {
					answer := "<iq from='" + st.To + "' to='" + st.From + "' id='" + st.ID
					switch {
					case strings.Contains(st.Raw, nsVersion):
						c.Send(answer + "' type='error'><error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>")
					case strings.Contains(st.Raw, "disco#info"):
						c.Send(answer + "' type='result'><query xmlns='http://jabber.org/protocol/disco#info'>" +
							"<identity category='pubsub' type='pep' name='Prosody'/><identity category='server' type='im' name='" + name + "'/></query></iq>")
					default:
						return pings(c, st)
					}
					return true
				}
				r, conn := memory(t, opt, nil)
				synctest.Wait() // until it is known
				r.Deliver(parcels(message("a", "x")))
				conn.Echo(h.takeN(t, 1)[0])
				r.expect(t, name, map[string]mapping.OutcomeKind{"a": want})
				r.stop()
			})
		})
	}
	for theirs, want := range map[string]mapping.OutcomeKind{"Prosody": mapping.Processed, "ejabberd": none} {
		t.Run("another domain, of "+theirs, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var h held
				opt := h.options()
				pings := opt.OnIQ
				asked := make(map[string]int)
				opt.OnIQ = func(c *xmpptest.Conn, st xmpptest.Stanza) bool {
					if !strings.Contains(st.Raw, nsVersion) {
						return pings(c, st)
					}
					asked[st.To]++
					if st.To == "example.net" {
						c.Software(st, theirs)
					} else {
						c.Software(st, map[string]string{"Prosody": "ejabberd", "ejabberd": "Prosody"}[theirs])
					}
					return true
				}
				r, conn := memory(t, opt, nil)
				r.Deliver(parcels(to("a", "benvolio@example.net")))
				conn.Result(h.takeN(t, 1)[0])
				r.expect(t, "of "+theirs, map[string]mapping.OutcomeKind{"a": want})
				r.Deliver(parcels(to("b", "benvolio@example.net")))
				synctest.Wait()
				if asked["example.net"] != 1 || asked["example.com"] != 1 {
					t.Errorf("asked %v", asked)
				}
				r.stop()
			})
		})
	}
	t.Run("says nothing again and again", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var h held
			opt := h.options()
			pings := opt.OnIQ
			asked := 0
			opt.OnIQ = func(c *xmpptest.Conn, st xmpptest.Stanza) bool {
				answer := "<iq from='" + st.To + "' to='" + st.From + "' id='" + st.ID
				switch {
				case st.To != "example.net":
				case strings.Contains(st.Raw, nsVersion):
					c.Send(strings.Repeat(answer+"' type='result'/>", 100))
					return true
				case strings.Contains(st.Raw, stanza.NSDiscoInfo):
					asked++
					return true
				}
				return pings(c, st)
			}
			r, _ := memory(t, opt, nil)
			r.Deliver(parcels(to("a", "benvolio@example.net")))
			synctest.Wait()
			if asked != 1 {
				t.Errorf("asked %d times who it is, want once", asked)
			}
			r.stop()
		})
	})
	t.Run("late", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var h held
			opt := h.options()
			pings := opt.OnIQ
			asked := make(chan xmpptest.Stanza, 1)
			opt.OnIQ = func(c *xmpptest.Conn, st xmpptest.Stanza) bool {
				if strings.Contains(st.Raw, nsVersion) {
					asked <- st
					return true
				}
				return pings(c, st)
			}
			r, conn := memory(t, opt, nil)
			st := <-asked
			if st.To != "example.com" {
				t.Errorf("asked %s", st.To)
			}
			r.Deliver(parcels(message("a", "x")))
			conn.Echo(h.takeN(t, 1)[0])
			r.expect(t, "not known yet", map[string]mapping.OutcomeKind{"a": none})
			forged := st
			forged.To = "example.org"
			conn.Software(forged, "Prosody")
			r.expect(t, "said by another", map[string]mapping.OutcomeKind{"a": none})
			conn.Software(st, "Prosody")
			r.expect(t, "known", map[string]mapping.OutcomeKind{"a": mapping.Processed})
			r.stop()
		})
	})
}
