package mapping

// Example is an address that shows how contacts are written.
type Example struct {
	Contact JID
	Means   string // a SIP URI, or of a Number as people write it
	Number  bool   // it is a telephone
	Others  bool   // it stands for all SIP addresses that have no form of their own
}

// Examples are contacts at name, one of the component names: one for every form that leads
// somewhere.
func (r *Rules) Examples(name JID) (examples []Example) {
	add := func(u URI, e Example) {
		var err error
		if e.Contact, err = r.XMPPAddress(u); err == nil && e.Contact.Domain() == name.Domain() {
			examples = append(examples, e)
		}
	}
	host := r.defaultHost
	if mapped, ok := r.toSIP[name.Domain()]; ok {
		host = mapped
	}
	if host != "" && !(r.phones && host == r.phoneHost) { // else there are only numbers
		add(URI{Scheme: "sip", User: "romeo", Host: host}, Example{Means: "sip:romeo@" + host})
	}
	if r.Numbers(name) {
		add(URI{Scheme: "tel", User: "+12025550123"}, Example{Means: "+1 202 555 0123", Number: true})
	}
	if other := r.elsewhere(); other != "" {
		add(URI{Scheme: "sip", User: "romeo", Host: other}, Example{Means: "sip:romeo@" + other, Others: true})
	}
	return examples
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
