package presence

import (
	"crypto/rand"
	"slices"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// The times of a publication.
const (
	publishFor     = 3600             // seconds, the default of the package (RFC 3856 §6.4)
	publishLongest = 24 * 3600        // whatever a server asks for
	publishSpacing = 5 * time.Second  // between two requests: of what comes meanwhile the last counts
	refreshLeast   = 30 * time.Second // between two refreshes
	firstRepublish = 30 * time.Second // after a failure, then twice as long each time ...
	lastRepublish  = time.Hour        // ... up to this
	mostRetryAfter = 24 * time.Hour   // whatever Retry-After says
	maxRemovals    = 3                // attempts to withdraw one: then it ends when its time is over
)

// maxPublications is how many there are at most, and maxFarewell how many are withdrawn when
// the gateway stops.
const (
	maxPublications = 20_000
	maxFarewell     = 256
)

// publication is what is published of a user at a server. It is a soft state there: it is
// refreshed while the user is seen, and withdrawn when his last device goes, so that a user
// who is not there costs nothing, and the server says itself that he is not.
type publication struct {
	user   *exposed
	server Server
	entity mapping.URI // whose presence it is, as the server knows him

	callID, tag string
	cseq        uint32
	asked       int    // seconds
	etag        string // "": there is none at the server, as far as is known
	version     uint64 // of what the user shows that is there
	kept        bool   // by the book

	sent    time.Time // when the last request was sent
	until   time.Time // when the server forgets it
	refresh time.Time
	after   time.Time // nothing is sent before that: something has failed
	fails   int       // one after the other
	listed  bool      // the policy wants it
	leaving bool      // the gateway stops
	banned  bool      // it is to be withdrawn, whatever the user shows
	timer   timer
	open    *publishing
	turn    *place // it waits to be sent
}

// publishing is a PUBLISH on its way.
type publishing struct {
	p       *publication
	at      *presenceServer
	version uint64
	asked   int    // seconds; 0 withdraws it
	etag    string // SIP-If-Match
}

func (*publishing) presence() {}

// republish sees to it that what a user shows is published where the policy wants it, and
// nowhere else. e.mu is held.
func (e *Engine) republish(out *work, u *exposed) {
	for _, p := range u.publications {
		p.listed = false
	}
	for _, s := range out.policy.Publish {
		if s.Name != u.contact {
			continue
		}
		entity, err := out.policy.Rules.SIPIdentity(u.user, s.Domain)
		if err != nil {
			continue
		}
		p := u.at(s, entity)
		switch {
		case p != nil:
			p.listed = true
		case len(u.shows) > 0 && !e.closing && e.publisher.all < maxPublications && e.mayPublish(out.policy, u.pair):
			e.addPublication(u, s, entity).listed = true
		}
	}
	for _, p := range slices.Clone(u.publications) {
		e.advance(out, p)
	}
	e.tidyExposed(u)
}

// at is what is published of u there.
func (u *exposed) at(s Server, entity mapping.URI) *publication {
	for _, p := range u.publications {
		if p.server.Hop == s.Hop && p.entity == entity {
			return p
		}
	}
	return nil
}

func (e *Engine) addPublication(u *exposed, s Server, entity mapping.URI) *publication {
	p := &publication{user: u, server: s, entity: entity, callID: rand.Text(), tag: rand.Text()[:16], asked: publishFor}
	u.publications = append(u.publications, p)
	e.publisher.all++
	return p
}

// dropPublication forgets p. e.mu is held.
func (e *Engine) dropPublication(out *work, p *publication) {
	e.lost(out, p)
	e.timers.stop(&p.timer)
	e.noTurn(p)
	p.open = nil
	i := slices.Index(p.user.publications, p)
	if i < 0 {
		return
	}
	p.user.publications = slices.Delete(p.user.publications, i, i+1)
	e.publisher.all--
	e.tidyExposed(p.user)
}

// tidyExposed forgets u if nothing is known of him any more.
func (e *Engine) tidyExposed(u *exposed) {
	if len(u.shows) == 0 && len(u.publications) == 0 && !u.unsure && e.publisher.users[u.pair] == u {
		delete(e.publisher.users, u.pair)
	}
}

// lost takes that the server does not have it. e.mu is held.
func (e *Engine) lost(out *work, p *publication) {
	p.etag = ""
	e.forgetPublication(out, p)
}

// advance decides what comes next for p, and when. e.mu is held.
func (e *Engine) advance(out *work, p *publication) {
	if p.etag != "" && !out.now.Before(p.until) {
		e.lost(out, p)
	}
	banned := !p.listed || p.leaving || !e.mayPublish(out.policy, p.user.pair)
	if banned && !p.banned { // which does not wait for what has failed before
		p.after, p.fails = time.Time{}, 0
	}
	p.banned = banned
	wanted := !banned && len(p.user.shows) > 0
	switch {
	case p.open != nil: // its answer comes here again
		return
	case e.closing && !p.leaving:
		e.noTurn(p)
		e.timers.stop(&p.timer)
		return
	case p.etag == "" && (!wanted && !p.user.unsure || banned):
		e.noTurn(p)
		if free := p.sent.Add(publishSpacing); free.After(out.now) && !e.closing { // it may be wanted again
			e.at(out, &p.timer, free, func(out *work) { e.advance(out, p) })
			return
		}
		e.dropPublication(out, p)
		return
	}
	when := p.sent.Add(publishSpacing)
	switch {
	case banned:
		when = out.now
	case p.user.unsure:
		e.noTurn(p)
		e.timers.stop(&p.timer)
		return
	case wanted && p.etag != "" && p.version == p.user.version && p.refresh.After(when):
		when = p.refresh
	}
	if p.after.After(when) {
		when = p.after
	}
	if when.After(out.now) {
		e.noTurn(p)
		e.at(out, &p.timer, when, func(out *work) { e.advance(out, p) })
		return
	}
	e.timers.stop(&p.timer)
	e.takeTurn(out, p, banned)
}

// publish sends what is to be sent for p now. e.mu is held.
func (e *Engine) publish(out *work, p *publication, at *presenceServer) {
	ref := &publishing{p: p, at: at, version: p.user.version, asked: p.asked, etag: p.etag}
	p.cseq++
	v := &mapping.SIPPublish{
		SIPEvent: mapping.SIPEvent{RequestURI: p.entity, From: p.entity, To: p.entity, CallID: p.callID, FromTag: p.tag, CSeq: p.cseq, Package: "presence"},
		Toward:   p.server.Domain, IfMatch: p.etag,
	}
	switch {
	case p.banned || len(p.user.shows) == 0 || !e.mayPublish(out.policy, p.user.pair):
		ref.asked = 0
	case p.etag == "" || p.version != p.user.version:
		p.document(v)
	}
	v.Expires = ref.asked
	p.open, p.sent = ref, out.now
	at.open++
	e.tally.Publishes++
	out.request(ref, v)
}

// document puts into v what the user shows.
func (p *publication) document(v *mapping.SIPPublish) {
	all := make([]mapping.Resource, len(p.user.shows))
	lang, several := "", false
	for i := range all {
		all[i] = p.user.shows[i].Resource
		for _, t := range all[i].Status {
			several = several || lang != "" && t.Lang != lang
			lang = t.Lang
		}
	}
	if !several {
		v.Lang = lang // PRES-15
	}
	v.ContentType = mapping.TypePIDF
	v.Body = mapping.AppendPIDF(nil, p.entity, all, mapping.PIDFOptions{Activities: true})
}

// publishedAt takes what became of a PUBLISH. e.mu is held.
func (e *Engine) publishedAt(out *work, ref *publishing, o mapping.Outcome) {
	if ref.at == nil {
		return // there is one outcome, and it was told
	}
	at, p := ref.at, ref.p
	ref.at = nil
	at.open--
	defer e.pumpServer(out, at)
	if p.open != ref {
		return
	}
	p.open = nil
	p.cseq = max(p.cseq, o.CSeq)
	switch status := statusOfAnswer(o); {
	case o.Accepted():
		e.acceptedAt(out, ref, o.Event)
		e.serverAnswers(at)
	case status == 412 && ref.etag != "": // it has lost it, or its time was over
		e.lost(out, p)
		e.serverAnswers(at)
	case ref.asked == 0 && (status/100 == 4 && status != 423 && o.Failure != nil && o.Failure.RetryAfter == 0 || p.fails >= maxRemovals-1):
		e.lost(out, p)
	case status == 423 && o.Event != nil && o.Event.MinExpires > p.asked && o.Event.MinExpires <= publishLongest:
		p.asked = o.Event.MinExpires
	default:
		e.notPublished(out, ref, o, at)
	}
	e.advance(out, p)
}

// acceptedAt takes a 2xx. e.mu is held.
func (e *Engine) acceptedAt(out *work, ref *publishing, a *mapping.EventAnswer) {
	p := ref.p
	p.fails, p.after = 0, time.Time{}
	if ref.asked == 0 {
		e.lost(out, p)
		return
	}
	seconds := ref.asked
	if a == nil {
		a = &mapping.EventAnswer{}
	}
	if a.Expires > 0 {
		seconds = min(seconds, a.Expires)
	}
	d := time.Duration(seconds) * time.Second
	p.until = out.now.Add(d)
	p.refresh = out.now.Add(max(d/2-jitter(d/10), refreshLeast))
	p.etag, p.version = a.ETag, ref.version
	if p.etag == "" { // it must have one (RFC 3903 §6): nothing can be said of it until it ends
		e.forgetPublication(out, p)
		p.after = p.until
		return
	}
	e.keepPublication(out, p)
}

// notPublished takes that a PUBLISH has failed: it is tried again after a while, or after as
// long as the server wants. e.mu is held.
func (e *Engine) notPublished(out *work, ref *publishing, o mapping.Outcome, at *presenceServer) {
	p := ref.p
	wait := min(firstRepublish<<min(p.fails, 7), lastRepublish)
	switch o.Status {
	case 400, 403, 404, 405, 406, 410, 413, 415, 423, 489, 501, 603, 604:
		wait = lastRepublish // it will be so for a while
	}
	if after := retryAfter(o.Failure); after > 0 {
		wait = min(after, mostRetryAfter)
	}
	p.fails++
	p.after = out.now.Add(wait + jitter(wait/4))
	e.tally.NotPublished++
	e.serverFails(at, p, o)
}
