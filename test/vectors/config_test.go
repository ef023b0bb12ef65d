package vectors

import (
	"fmt"
	"strings"

	"github.com/stoxgw/stox/internal/config"
)

// Where everybody is. All hosts of the SIP side are the harness, at whatever address.
const (
	gatewayAddr = "192.0.2.1:5060"
	nextHop     = "192.0.2.4" // what host names lead to
	clientAddr  = "192.0.2.9:5060"
	peerNetwork = "192.0.2.0/24"
)

// configure makes the configuration of the daemon for a vector. An error says that the
// daemon has no such configuration.
//
// Requests go to the next hop over UDP unless a route says otherwise. The vectors that
// have no route and yet a Via with TCP in what the gateway sends are given one, as the
// admin of such a domain would: everything goes to the next hop, over TCP.
func configure(v *vector) (*config.Config, error) {
	s := &v.settings
	var b strings.Builder
	put := func(format string, a ...any) { fmt.Fprintf(&b, format+"\n", a...) }

	put("[xmpp]")
	put("server = %q", s.GatewayDomain+":5347")
	put("domain = %q", s.GatewayDomain)
	put("secret = %q", secret)
	put("user_domains = [%s]", quoted(s.XMPPDomains))
	put("failure_notice = %t", s.FailureNotice)
	changed(put, "html", s.HTML, "xhtml-im")
	put("[admin]")
	put("listen = %q", "") // the machine's network is not that of the test
	put("[sip]")
	put("listen = [%s]", quoted([]string{"udp://" + gatewayAddr, "tcp://" + gatewayAddr}))
	put("advertise = %q", s.SIPHost)
	put("domain = %q", s.DefaultSIPDomain)
	put("accept_status = %d", s.SuccessCode)
	put("late_errors = %q", s.LateErrors)
	changed(put, "expired", s.Expired, "deliver")
	changed(put, "imdn", s.IMDN, "if-known")
	changed(put, "composing", s.Composing, "reply-only")
	put("[limits]")
	put("user_rate = %d", s.UserRate)
	put("[[sip.peer]]")
	put("name = %q", "harness")
	put("addresses = [%s]", quoted([]string{peerNetwork}))
	put("domains = [%s]", quoted([]string{"*"}))
	for _, r := range s.Route {
		put("[[sip.route]]")
		put("domain = %q", r.Domain)
		put("via = %q", r.Via)
		changed(put, "size", r.Size, "")
	}
	if len(s.Route) == 0 && v.overTCP() {
		put("[[sip.route]]")
		put("domain = %q", "*")
		put("via = %q", "sip:"+nextHop+";transport=tcp")
	}
	for _, d := range s.DomainMap {
		put("[[domain]]")
		put("xmpp = %q", d.XMPP)
		put("sip = %q", d.SIP)
		put("server = %q", d.XMPP+":5347")
		put("secret = %q", secret)
	}
	put("[store]")
	put("path = %q", "")
	put("[log]")
	put("level = %q", "debug")

	// No key says these: they are how it is.
	if !s.FromGR || s.MaxMessage != 1300 || len(s.SIPCredentials) > 0 {
		return nil, fmt.Errorf("from_gr %t, max_message_bytes %d, sip_credentials %v: not to be configured", s.FromGR, s.MaxMessage, s.SIPCredentials)
	}
	return config.Parse("stox.toml", []byte(b.String()), nil)
}

// changed writes a key that is not what it is without being written: one that is not
// built yet may not be.
func changed(put func(string, ...any), key, value, usual string) {
	if value != usual {
		put("%s = %q", key, value)
	}
}

func quoted(list []string) string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = fmt.Sprintf("%q", s)
	}
	return strings.Join(out, ", ")
}
