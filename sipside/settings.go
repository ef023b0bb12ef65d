package sipside

import (
	"net/netip"
	"slices"

	"github.com/stoxgw/stox/mapping"
)

// settings is what may change while a UA runs, and what is made of it: the routes and who
// may send, and what of a Config is listed at Reload. A request is dealt with by those of
// the moment at which it is read or sent; they are swapped whole and not changed. What goes
// on from one to the next is pointed to, and is the same in both: a route that has not
// changed, what is known of its servers, its login and its registration.
type settings struct {
	routes        []*Route
	routeDomains  []string // canonical, beside routes
	routeHops     []hop    // beside routes: where those with a Via lead that can be gone by
	xmppDomains   []string
	phoneDomain   string // as URI.Host has it
	peers         *peers
	users         map[string]*peer  // that log in, by the name with which they do
	passwords     map[string]string // of these
	logins        map[*Route]*login // who we are on a route
	watches       map[*Route]*watch // of the routes with a Via
	watching      []*watch          // the same, without those that lead nowhere
	registrations map[*Route]*registration

	aims []aim // of registrations that there were before, where they go from now on
}

// aim is a registration with the route that it is of from now on.
type aim struct {
	of *registration
	to target
}

// settle makes settings of cfg, whose faults have been looked for. before are those that
// there are, nil if there are none.
func (u *UA) settle(cfg *Config, before *settings) *settings {
	if before == nil {
		before = &settings{}
	}
	s := &settings{
		xmppDomains: cfg.XMPPDomains, phoneDomain: canonicalHost(cfg.PhoneDomain), peers: newPeers(cfg),
		users: make(map[string]*peer), passwords: make(map[string]string), logins: make(map[*Route]*login),
		watches: make(map[*Route]*watch), registrations: make(map[*Route]*registration),
	}
	if before.peers != nil {
		s.peers.succeed(before.peers)
	}
	for i, c := range cfg.Peers {
		if _, twice := s.passwords[c.Login.Username]; !twice && !c.Login.IsZero() {
			s.users[c.Login.Username], s.passwords[c.Login.Username] = s.peers.configured[i], c.Login.Password
		}
	}
	left := slices.Clone(before.routes)
	for i := range cfg.Routes {
		r := &cfg.Routes[i]
		if j := slices.IndexFunc(left, func(old *Route) bool { return *old == *r }); j >= 0 {
			r = left[j]
			left = slices.Delete(left, j, j+1)
		} else {
			r = new(*r)
		}
		s.routes, s.routeDomains = append(s.routes, r), append(s.routeDomains, canonicalHost(r.Domain))
	}
	u.settleLogins(s, before)
	u.settleWatches(s, before)
	u.settleRegistrations(s, before)
	s.routeHops = make([]hop, len(s.routes))
	for i, r := range s.routes {
		if h, f := u.hopOf(r, s.logins[r]); f == nil && !r.Via.IsZero() {
			h.watch = s.watches[r]
			if h.addr.IsValid() {
				h.only = new(onlyWay)
			}
			s.routeHops[i] = h
		}
	}
	return s
}

// current are the settings of this moment.
func (u *UA) current() *settings { return u.set.Load() }

// logsIn reports whether there are peers that log in.
func (s *settings) logsIn() bool { return len(s.users) > 0 }

// succeed takes over what p has counted of the peers that there still are, and where names
// have led, until they are looked up.
func (p *peers) succeed(before *peers) {
	p.loopback.share = before.loopback.share
	for _, q := range p.configured {
		if i := slices.IndexFunc(before.configured, func(old *peer) bool { return old.name == q.name }); i >= 0 {
			q.share = before.configured[i].share
		}
	}
	for i := range p.routes {
		q := &p.routes[i]
		if j := slices.IndexFunc(before.routes, func(old routePeer) bool { return old.host == q.host }); j >= 0 {
			q.peer.share = before.routes[j].peer.share
		}
	}
	resolved := make(map[netip.Addr][]string)
	for a, hosts := range *before.resolved.Load() {
		for _, host := range hosts {
			if slices.ContainsFunc(p.routes, func(r routePeer) bool { return r.host == host }) {
				resolved[a] = append(resolved[a], host)
			}
		}
	}
	p.resolved.Store(&resolved)
}

// settleWatches gives each route with a Via its watch, one for all that lead to the same place.
func (u *UA) settleWatches(s, before *settings) {
	places := make(map[place]*watch)
	for _, w := range before.watches {
		places[w.place] = w
	}
	led := make(map[*watch]*lead)
	for _, r := range s.routes {
		if r.Via.IsZero() {
			continue
		}
		h, f := u.hopOf(r, s.logins[r])
		p := placeOf(r, &h)
		w := places[p]
		if w == nil {
			w = newWatch(u, p)
			places[p] = w
		}
		s.watches[r] = w
		if l := led[w]; l != nil {
			l.routes = append(l.routes, r)
			continue
		}
		h.watch = w
		led[w] = &lead{routes: []*Route{r}, hop: h}
		if f == nil {
			s.watching = append(s.watching, w)
		}
	}
	for w, l := range led {
		w.lead.Store(l)
	}
}

// place is where a route leads.
type place struct {
	via  mapping.URI
	name string // that its server has to show; "" where nobody has to
}

func placeOf(r *Route, h *hop) place {
	p := place{via: r.Via}
	if h.query.Transport.Secure() {
		p.name = h.name
	}
	return p
}

// Reload changes, while the UA runs, what may be changed: Accept, Peers, Routes, PhoneDomain,
// XMPPDomains, OwnDomains, PeerRate and the files of TLS. The rest of cfg is as it was given to New,
// whatever it says here. With an error, which reports all faults together, nothing changes.
//
// What has been read or sent goes on by what was in force then; a connection stays, and who
// sends over it is asked for by the new peers. A registration that has got no route any more
// is taken back, one with another login is made anew at once. Accounts that go another way from
// now on are registered there.
func (u *UA) Reload(cfg Config) error {
	u.changing.Lock()
	defer u.changing.Unlock()
	next := u.cfg
	next.Accept, next.Peers, next.Routes, next.PhoneDomain, next.XMPPDomains, next.OwnDomains, next.PeerRate =
		cfg.Accept, cfg.Peers, cfg.Routes, cfg.PhoneDomain, cfg.XMPPDomains, cfg.OwnDomains, cfg.PeerRate
	if cfg.TLS != nil {
		next.TLS = cfg.TLS
	}
	next.setDefaults()
	if _, err := next.check(); err != nil {
		return err
	}
	if cfg.TLS != nil {
		u.cfg.TLS.adopt(cfg.TLS)
	}
	u.server.accept.Store(int32(next.Accept))
	u.rates.limit(next.PeerRate)
	u.unproved.limit(next.PeerRate)
	before := u.current()
	s := u.settle(&next, before)
	u.strangers.expect(s.logsIn())
	u.set.Store(s)
	for _, a := range s.aims {
		a.of.goTo(a.to)
	}
	s.aims = nil
	for _, w := range before.watches {
		w.over.Store(true)
	}
	for _, w := range s.watches {
		w.over.Store(false)
	}
	u.names.look()
	u.askers.follow(s)
	u.lines.follow()
	return nil
}
