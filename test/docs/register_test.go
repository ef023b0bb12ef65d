//go:build interop

package docs

import (
	"fmt"

	"github.com/stoxgw/stox/internal/siptest"
)

// registers is the line of a route with what makes it register.
func registers(via string) string {
	return via + "\nusername = \"stox\"\npassword = \"the-secret\"\nregister = true"
}

// ofRoute waits for the line of the log about the registration.
func (p *plant) ofRoute(part string) seen {
	p.Helper()
	line, _, err := p.stox.WaitLine(p.ctx, 0, part, "retry_in=")
	must(p.T, err)
	return seen{line: p.doc(line)}
}

func refusesRegister(id, what, remedy string, status int, reason string, names ...string) fault {
	return fault{id: id, what: what, remedy: remedy, names: names, plant: func(p *plant) seen {
		p.peer(func(m *siptest.Message) string { return m.Reply(status, reason) })
		p.run(viaLine, registers(viaLine))
		return p.ofRoute("refuses the registration")
	}}
}

var registerFaults = []fault{
	refusesRegister("register-403", "The SIP server refuses the registration (`sip.route.register`)",
		"Correct `sip.route.username` and `sip.route.password`, and look whether the account may register from this address. stox asks again in ten minutes, later every two hours: restart it after a correction.",
		403, "Forbidden", "sip.route.username", "sip.route.password"),
	refusesRegister("register-404", "The registrar does not know the user",
		"Correct `sip.route.username`; or `sip.route.domain`, which is the domain that is registered at. Then restart stox.",
		404, "Not Found", "sip.route.username", "sip.route.domain"),
	refusesRegister("register-405", "What is at `sip.route.via` is no registrar",
		"Correct `sip.route.via`, or take out `sip.route.register`.",
		405, "Method Not Allowed", "sip.route.via", "sip.route.register"),
	{id: "register-nobody", what: "Nobody listens at the registrar's address", remedy: "Start the SIP server, or correct `sip.route.via`. It is asked again within half a minute, later every half an hour.",
		names: []string{"sip.route.via", "stox doctor"}, plant: func(p *plant) seen {
			p.name("192.0.2.10:5060", fmt.Sprintf("127.0.0.1:%d", freePort(p.T)))
			p.run(viaLine, registers(`via = "sip:192.0.2.10:5060;transport=tcp"`))
			return p.ofRoute("is not registered")
		}},
	{id: "register-changed", what: "Something on the way changes the address that is registered: mostly a router that takes care of SIP (ALG)", remedy: "Switch that off in the router, or use TLS (`sip.route.via` with `transport=tls`).",
		names: []string{"200 without our binding", "sip.route.via", "ALG"}, plant: func(p *plant) seen {
			p.peer(func(m *siptest.Message) string {
				return m.Reply(200, "OK", "Contact: <sip:somebody@198.51.100.7>;expires=600")
			})
			p.run(viaLine, registers(viaLine))
			return p.ofRoute("is not registered")
		}},
}
