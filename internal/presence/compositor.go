package presence

import (
	"crypto/rand"
	"strings"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// The gateway as compositor: a SIP contact publishes its presence to it (RFC 3903 §6,
// PRES-29), one publication for each of its user agents. What it publishes is for the XMPP
// users who watch it, and it is not subscribed to meanwhile.
//
// Nothing of it outlives the process: a user agent that goes on with a publication of an
// earlier run is told 412, and begins a new one.

// Bounds of publications.
const (
	maxPublished      = 10_000           // in all ...
	maxPublishedFrom  = maxPublished / 4 // ... that one peer has brought ...
	maxPublishedOf    = 8                // ... and of one contact: a further one has the place of the oldest
	maxPublishedBytes = 8 << 10          // of one document
)

// How long a publication is valid, in seconds.
const (
	publishedMost  = 3600 // also if nothing is said (RFC 3856 §6.4)
	publishedLeast = 60
)

// publishesFor is how long a contact is taken to be one that publishes after it has done so
// last. It is closed then, and no user agent of it is asked: those that publish do not take
// subscriptions as a rule, and their refusal would end that of the user for good.
const publishesFor = 24 * time.Hour

// compositor has what is published to the gateway. The engine's mutex guards it.
type compositor struct {
	of   map[mapping.JID]*presentity // by contact
	all  int                         // publications ...
	from map[string]int              // ... by peer
}

func newCompositor() compositor {
	return compositor{of: make(map[mapping.JID]*presentity), from: make(map[string]int)}
}

// presentity is a contact that publishes.
type presentity struct {
	contact      mapping.JID
	publications []*published // the one that was changed last is the last
	timer        timer        // while there is none: when it is forgotten
}

// published is a publication that was taken.
type published struct {
	of          *presentity
	etag        string
	contentType string
	lang        string
	body        []byte // as it came: that takes less room than what is read out of it
	peer        string
	touched     time.Time
	timer       timer // when it expires
}

// takePublish takes a PUBLISH. e.mu is held.
func (e *Engine) takePublish(out *work, ref any, v *mapping.SIPPublish) {
	etag, seconds, f := e.compose(out, v)
	a := &mapping.EventAnswer{Expires: mapping.NoExpires}
	if f != nil {
		e.tally.Refused++
		e.log.Debug("a PUBLISH is refused", "dir", "sip-xmpp", "from", v.From, "to", v.RequestURI, "call_id", v.CallID, "reason", f.Status, "err", f)
		if f.Status == 423 {
			a.MinExpires = publishedLeast
		}
		out.refuseWith(ref, f, a)
		return
	}
	a.ETag, a.Expires = etag, seconds
	out.accept(ref, a)
}

// compose does what a PUBLISH asks for, and gives the entity-tag and the seconds that answer
// it. The order of what is checked is that of RFC 3903 §6. e.mu is held.
func (e *Engine) compose(out *work, v *mapping.SIPPublish) (etag string, seconds int, f *mapping.Failure) {
	contact, f := out.policy.publisherOf(v)
	switch {
	case v.Package != "presence":
		return "", 0, mapping.FailEvent()
	case f != nil:
		return "", 0, f
	case e.closing:
		return "", 0, mapping.FailShutdown()
	}
	known := e.compositor.of[contact]
	p := known.tagged(v.IfMatch)
	if v.IfMatch != "" && p == nil {
		return "", 0, mapping.FailCondition()
	}
	if seconds = v.Expires; seconds < 0 || seconds > publishedMost {
		seconds = publishedMost
	}
	switch {
	case 0 < seconds && seconds < publishedLeast:
		return "", 0, mapping.FailTooBrief()
	case len(v.Body) > maxPublishedBytes:
		return "", 0, mapping.FailTooLarge(maxPublishedBytes)
	case len(v.Body) > 0:
		if _, f = readPublished(v.ContentType, v.Encoding, v.Body); f != nil {
			return "", 0, f
		}
	case p == nil && seconds > 0: // a first one has to say something (RFC 3903 §4.1)
		return "", 0, mapping.FailBadRequest("no presence document")
	}
	etag = rand.Text()
	if seconds == 0 {
		if p != nil {
			e.unpublish(out, p)
			e.showPublished(out, contact)
		}
		return etag, 0, nil
	}
	if p == nil {
		if p, f = e.newPublication(out, contact, v.Peer); f != nil {
			return "", 0, f
		}
	}
	p.etag, p.touched = etag, out.now
	e.at(out, &p.timer, out.now.Add(time.Duration(seconds)*time.Second), func(out *work) {
		e.unpublish(out, p)
		e.showPublished(out, contact)
	})
	if len(v.Body) > 0 {
		p.contentType, p.lang, p.body = strings.Clone(v.ContentType), strings.Clone(v.Lang), append([]byte(nil), v.Body...)
		p.of.last(p)
		e.showPublished(out, contact)
	}
	return etag, seconds, nil
}

// publisherOf is the contact that v publishes for, which is who sends it: nobody publishes
// for another one. Whose presence it is the Request-URI says, or To where a proxy has put our
// own host there.
func (p *Policy) publisherOf(v *mapping.SIPPublish) (mapping.JID, *mapping.Failure) {
	whose := v.RequestURI
	if whose.Host == p.Rules.Itself().Host {
		whose = v.To
	}
	contact, err := p.Rules.Sender(v.From)
	if err == nil {
		var of mapping.JID
		if of, err = p.Rules.Sender(whose); err == nil && (of.Bare() != contact.Bare() || contact.Local() == "") {
			err = notYours()
		}
	}
	if err != nil {
		return mapping.JID{}, asFailure(err)
	}
	contact = contact.Bare()
	if u, err := p.Rules.SIPAddress(contact); err != nil || p.mode(u) == ModeNone || p.blocked(v.From) {
		return mapping.JID{}, mapping.FailForbidden()
	}
	return contact, nil
}

// notYours is for who publishes for somebody else.
func notYours() *mapping.Failure {
	f := mapping.FailForbidden()
	f.Text, f.Remedy = "Nobody may publish the presence of somebody else.", ""
	return f
}

// readPublished reads the body of a PUBLISH.
func readPublished(contentType, encoding string, body []byte) (*mapping.Document, *mapping.Failure) {
	if encoding = strings.TrimSpace(encoding); encoding != "" && !strings.EqualFold(encoding, "identity") {
		f := mapping.FailUnsupportedEncoding() // none was offered
		f.AcceptEncoding = "identity"
		return nil, f
	}
	d, err := mapping.ReadPIDF(contentType, body)
	if err != nil {
		return nil, asFailure(err)
	}
	return d, nil
}

// newPublication begins a publication, if there is room for it. e.mu is held.
func (e *Engine) newPublication(out *work, contact mapping.JID, peer string) (*published, *mapping.Failure) {
	c := &e.compositor
	known := c.of[contact]
	if known != nil && len(known.publications) >= maxPublishedOf {
		// Most likely user agents that have started anew and forgotten about it.
		oldest := known.publications[0]
		for _, p := range known.publications {
			if p.touched.Before(oldest.touched) {
				oldest = p
			}
		}
		e.unpublish(out, oldest)
	}
	if c.all >= maxPublished || c.from[peer] >= maxPublishedFrom || known == nil && !e.roomForPresentity(out) {
		return nil, &mapping.Failure{Status: 503, Condition: mapping.CondResourceConstraint, Type: mapping.TypeWait,
			Text: "There are too many publications."}
	}
	if known == nil {
		known = &presentity{contact: contact}
		c.of[contact] = known
	}
	e.timers.stop(&known.timer)
	p := &published{of: known, peer: strings.Clone(peer)}
	known.publications = append(known.publications, p)
	c.all++
	c.from[p.peer]++
	return p, nil
}

// roomForPresentity makes room for one more contact that publishes, if need be at the cost of
// one that does not any more: that nobody watches, if there is one, or its watchers have it
// asked again. e.mu is held.
func (e *Engine) roomForPresentity(out *work) bool {
	c := &e.compositor
	if len(c.of) < maxPublished {
		return true
	}
	var idle *presentity
	for contact, known := range c.of {
		if len(known.publications) > 0 {
			continue
		}
		if idle = known; e.relations.first[contact] == nil {
			break
		}
	}
	if idle == nil {
		return false // there is one, or there would be maxPublished publications
	}
	e.timers.stop(&idle.timer)
	delete(c.of, idle.contact)
	e.showPublished(out, idle.contact)
	return true
}

// unpublish ends a publication. The contact is remembered to be one that publishes. e.mu is
// held.
func (e *Engine) unpublish(out *work, p *published) {
	c, of := &e.compositor, p.of
	e.timers.stop(&p.timer)
	for i, o := range of.publications {
		if o == p {
			of.publications = append(of.publications[:i], of.publications[i+1:]...)
			break
		}
	}
	c.all--
	less(c.from, p.peer)
	if len(of.publications) == 0 {
		of.publications = nil
		e.at(out, &of.timer, out.now.Add(publishesFor), func(out *work) {
			delete(c.of, of.contact)
			e.showPublished(out, of.contact)
		})
	}
}

// tagged is the publication that has that entity-tag.
func (of *presentity) tagged(etag string) *published {
	if of == nil || etag == "" {
		return nil
	}
	for _, p := range of.publications {
		if p.etag == etag {
			return p
		}
	}
	return nil
}

// last makes p the last one.
func (of *presentity) last(p *published) {
	for i, o := range of.publications {
		if o == p {
			copy(of.publications[i:], of.publications[i+1:])
			of.publications[len(of.publications)-1] = p
			return
		}
	}
}
