package presence

import (
	"slices"
	"strings"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// The gateway as publisher: what XMPP users show is published at a presence server (RFC
// 3903), which decides who sees it there. So only that of users who let the gateway itself see
// them is: it asks them for that once, and it is over at once when they take it back.
//
// publisher_publication.go has the publications, publisher_pace.go who has his turn.

// Server is a presence server, as the route says that leads to it.
type Server struct {
	Domain string      // of the route; "*" is any
	Hop    string      // where it leads: servers with the same Hop are one
	Name   mapping.JID // of the gateway: what users let that name see is published there
}

// Bounds of what is known of users who let the gateway see them.
const (
	maxExposed        = 20_000 // users
	maxExposedDevices = 16     // of one
	maxExposedText    = 1024   // bytes of names and texts of a device
	maxExposedTexts   = 32 << 20
)

// consentAgain is when a user who has not decided is asked again, if he uses the gateway.
const consentAgain = 7 * 24 * time.Hour

// publisher is what the role has. The engine's mutex guards it.
type publisher struct {
	users   map[pair]*exposed // by user, and name of the gateway
	all     int               // publications that there are, or are to be
	text    int               // bytes kept of what users show
	servers map[string]*presenceServer
	probes  exposedProbes
}

func newPublisher() publisher {
	return publisher{users: make(map[pair]*exposed), servers: make(map[string]*presenceServer), probes: newExposedProbes()}
}

// exposed is a user who lets the gateway see him, or who did and has something published.
type exposed struct {
	pair
	shows   []exposedDevice // those that are available, in the order in which they have come
	version uint64          // another one whenever shows is
	unsure  bool            // he is being asked how he is: what is published holds until that is known
	queued  bool            // to be asked
	timer   timer           // when he has answered

	publications []*publication
}

// exposedDevice is a resource of a user as he shows it to the gateway.
type exposedDevice struct {
	mapping.Resource
	stale bool // said before the link was lost
}

func (d *exposedDevice) text() int {
	n := len(d.Name)
	for _, t := range d.Status {
		n += len(t.Lang) + len(t.Value)
	}
	return n
}

// publishesUnder reports whether what users let a name of the gateway see is published
// anywhere.
func (p *Policy) publishesUnder(name mapping.JID) bool {
	return slices.ContainsFunc(p.Publish, func(s Server) bool { return s.Name == name })
}

// takeGateway takes presence that is addressed to the gateway itself. e.mu is held.
func (e *Engine) takeGateway(out *work, v *mapping.XMPPPresence) {
	user, name := v.From.Bare(), v.To.DomainJID()
	switch v.Type {
	case mapping.Subscribe:
		if r := e.relations.find(user, name); r != nil && r.state&WatcherDeclined != 0 {
			e.enter(out, r, 0, WatcherDeclined) // he turns to it himself
		}
		e.askToPublish(out, user, name)
	case mapping.Probe:
		e.askToPublish(out, user, name)
	case mapping.Subscribed:
		e.expose(out, user, name)
	case mapping.Unsubscribed:
		e.cover(out, user, name)
	case mapping.Available:
		e.askToPublish(out, user, name)
		e.exposes(out, v)
	case mapping.Unavailable, mapping.PresenceError:
		if u := e.publisher.users[pair{user, name}]; u != nil {
			resource := v.From.Resource()
			e.covers(out, u, func(d *exposedDevice) bool { return resource == "" || d.Name == resource })
		}
	}
}

// askToPublish asks a user who uses the gateway whether it may see him, unless he was asked
// of late, or has decided. e.mu is held.
func (e *Engine) askToPublish(out *work, user, name mapping.JID) {
	if e.closing || user.Local() == "" || !out.policy.publishesUnder(name) || !out.policy.Access.Allows(user) {
		return
	}
	r := e.relations.get(user, name, false)
	if r == nil || r.state&(WatcherGranted|WatcherDeclined) != 0 || r.state&WatcherAsked != 0 && lately(out.now, r.since, consentAgain) {
		return
	}
	e.enter(out, r, 0, WatcherAsked)
	e.enter(out, r, WatcherAsked, 0)
	e.log.Info("a user is asked whether his presence may be published", "dir", dirToSIP, "user", user, "to", name)
	out.say(name, user, mapping.Subscribe)
}

// expose takes that a user lets the gateway see him. His server tells how he is. e.mu is held.
func (e *Engine) expose(out *work, user, name mapping.JID) {
	if user.Local() == "" || !out.policy.Access.Allows(user) {
		return
	}
	r := e.relations.find(user, name)
	if r == nil && out.policy.publishesUnder(name) {
		r = e.relations.get(user, name, false)
	}
	if r == nil || r.state&WatcherGranted != 0 {
		return
	}
	e.enter(out, r, WatcherGranted, WatcherAsked|WatcherDeclined)
	e.log.Info("a user lets his presence be published", "dir", dirToSIP, "user", user, "to", name)
}

// cover takes that a user does not let the gateway see him, or not any more: what is published
// of him is withdrawn at once (RFC 3922 §6.5). e.mu is held.
func (e *Engine) cover(out *work, user, name mapping.JID) {
	r := e.relations.find(user, name)
	if r == nil || r.state&(WatcherAsked|WatcherGranted) == 0 {
		return
	}
	u := e.publisher.users[r.pair]
	said := WatcherDeclined
	if u != nil && u.unsure {
		said = 0 // a server says so, too, when it is asked about a user whom it does not know to have agreed
	}
	e.enter(out, r, said, WatcherAsked|WatcherGranted)
	e.log.Info("a user does not let his presence be published", "dir", dirToSIP, "user", user, "to", name)
	e.relations.tidy(r)
	if u != nil {
		e.notAsked(u)
		e.covers(out, u, func(*exposedDevice) bool { return true })
		e.republish(out, u)
	}
}

// mayPublish reports whether what a user shows may be published. e.mu is held.
func (e *Engine) mayPublish(p *Policy, who pair) bool {
	r := e.relations.all[who]
	return r != nil && r.state&WatcherGranted != 0 && p.Access.Allows(who.user)
}

// exposes takes that a device of a user is there, or otherwise than before. e.mu is held.
func (e *Engine) exposes(out *work, v *mapping.XMPPPresence) {
	who := pair{v.From.Bare(), v.To.DomainJID()}
	if !out.policy.publishesUnder(who.contact) || !e.mayPublish(out.policy, who) || e.closing {
		return
	}
	u := e.userOf(who)
	if u == nil {
		return
	}
	d := exposedDevice{Resource: exposedResource(v)}
	i := slices.IndexFunc(u.shows, func(o exposedDevice) bool { return o.Name == d.Name })
	if i < 0 && len(u.shows) == maxExposedDevices {
		return
	}
	room := maxExposedTexts - e.publisher.text
	if i >= 0 {
		room += u.shows[i].text()
	}
	if d.text() > room {
		if d.Status = nil; d.text() > room {
			return
		}
	}
	if i >= 0 {
		same := mapping.CompareResources([]mapping.Resource{u.shows[i].Resource}, []mapping.Resource{d.Resource})
		if len(same.Same) == 1 {
			u.shows[i].stale = false
			return
		}
		e.publisher.text -= u.shows[i].text()
		u.shows[i] = d
	} else {
		u.shows = append(u.shows, d)
	}
	e.publisher.text += d.text()
	u.version++
	e.republish(out, u)
}

// covers takes that devices of a user are gone. e.mu is held.
func (e *Engine) covers(out *work, u *exposed, gone func(*exposedDevice) bool) {
	before := len(u.shows)
	u.shows = slices.DeleteFunc(u.shows, func(d exposedDevice) bool {
		if !gone(&d) {
			return false
		}
		e.publisher.text -= d.text()
		return true
	})
	if len(u.shows) != before {
		u.version++
		e.republish(out, u)
	}
}

// userOf is what is known of a user; nil if there is no room for it. e.mu is held.
func (e *Engine) userOf(who pair) *exposed {
	u := e.publisher.users[who]
	if u == nil && len(e.publisher.users) < maxExposed {
		u = &exposed{pair: who, version: 1}
		e.publisher.users[who] = u
	}
	return u
}

// exposedResource is what v shows, in memory of its own.
func exposedResource(v *mapping.XMPPPresence) mapping.Resource {
	r := mapping.Resource{Name: strings.Clone(v.From.Resource()), Open: true}
	if v.Shows == nil {
		return r
	}
	r.Show = mapping.ParseShow(string(v.Shows.Show))
	r.Priority, r.HasPriority, r.Idle, r.Since = v.Shows.Priority, v.Shows.HasPriority, v.Shows.Idle, v.Shows.Since
	room := maxExposedText
	for _, t := range v.Shows.Status {
		if t.Lang == "" {
			t.Lang = v.Lang
		}
		if n := len(t.Lang) + len(t.Value); n <= room {
			room -= n
			r.Status = append(r.Status, mapping.Text{Lang: strings.Clone(t.Lang), Value: strings.Clone(t.Value)})
		}
	}
	return r
}

// publisherPolicy has what the policy does not want any more withdrawn, and what it wants
// published. e.mu is held.
func (e *Engine) publisherPolicy(out *work) {
	for _, u := range e.publisher.users {
		if !out.policy.publishesUnder(u.contact) || !e.mayPublish(out.policy, u.pair) {
			e.notAsked(u) // and what he shows from now on is not looked at
			e.covers(out, u, func(*exposedDevice) bool { return true })
		}
		e.republish(out, u)
	}
	for i, s := range out.policy.Publish {
		if !slices.ContainsFunc(out.policy.Publish[:i], func(o Server) bool { return o.Name == s.Name }) {
			e.inquireExposed(out, s.Name, false)
		}
	}
}

// publisherLinkUp has the users who let a name of the gateway see them asked how they are:
// what was known of them may not be so any more (GW-08). e.mu is held.
func (e *Engine) publisherLinkUp(out *work, name mapping.JID) {
	if name = name.DomainJID(); out.policy.publishesUnder(name) {
		e.inquireExposed(out, name, true)
	}
}

// publisherFarewell withdraws publications, as many as can be in a short time: the rest ends
// by itself, or the next run goes on with it. e.mu is held.
func (e *Engine) publisherFarewell(out *work) {
	e.stopProbes()
	left := maxFarewell
	for _, u := range e.publisher.users {
		for _, p := range slices.Clone(u.publications) {
			if left > 0 && (p.etag != "" || p.open != nil) {
				left--
				p.leaving = true
			}
			e.advance(out, p)
		}
	}
}
