package mapping

import "strings"

// Help is what the gateway says of itself to a person who writes to name, one of the
// component names: how the addresses of contacts are written there, with an example for
// every form that leads somewhere.
func (r *Rules) Help(name JID) string {
	var b strings.Builder
	b.WriteString("This is the gateway to SIP. Write to one of its addresses, or add it to your contacts:\n")
	add := func(u URI, what string) {
		if j, err := r.XMPPAddress(u); err == nil && j.Domain() == name.Domain() {
			b.WriteString("\n" + j.String() + "\n    " + what + "\n")
		}
	}
	host := r.defaultHost
	if mapped, ok := r.toSIP[name.Domain()]; ok {
		host = mapped
	}
	if host != "" && !(r.phones && host == r.phoneHost) { // else there are only numbers
		add(URI{Scheme: "sip", User: "romeo", Host: host}, "is sip:romeo@"+host)
	}
	if r.Numbers(name) {
		add(URI{Scheme: "tel", User: "+12025550123"}, "is the telephone number +1 202 555 0123")
	}
	if other := r.elsewhere(); other != "" {
		add(URI{Scheme: "sip", User: "romeo", Host: other}, "is sip:romeo@"+other+", and so on for all other SIP addresses")
	}
	b.WriteString("\nTo read this again, write \"help\" to " + name.Domain() + ".")
	return b.String()
}

// elsewhere is a SIP domain without a form of its own that a route leads to, "" if there
// is none. Where all domains have a route it is an example.
func (r *Rules) elsewhere() string {
	for _, route := range r.routes {
		switch _, mapped := r.toXMPP[route.host]; {
		case route.host == "*":
			return "example.org"
		case !mapped && route.host != r.defaultHost && route.host != r.phoneHost:
			return route.host
		}
	}
	return ""
}
