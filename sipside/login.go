package sipside

import (
	"log/slog"
	"math"
	"sync"
	"time"

	"github.com/stoxgw/stox/mapping"
	"github.com/stoxgw/stox/sipside/digest"
	"github.com/stoxgw/stox/sipside/locate"
)

// login is who we are on a route, or for an account, and what its servers have asked (SEC-05).
// It belongs to the next hop of the route, or to the servers of the account: nothing is said of
// it on another one.
type login struct {
	client *digest.Client
	route  *Route // nil: it is that of an account
	secure bool   // nothing of it goes over UDP or TCP
	log    *slog.Logger

	mu   sync.Mutex // guards the following
	told [digest.Unsupported + 1]time.Time
}

// settleLogins gives each route with a Login its own, with what its servers have asked if
// there was one to the same place. A route for all domains that has no next hop leads to
// whatever host somebody writes to: it has none.
func (u *UA) settleLogins(s, before *settings) {
	for _, r := range s.routes {
		if r.Login.IsZero() || r.Via.IsZero() && r.Domain == "*" {
			continue
		}
		for _, l := range before.logins {
			if old := l.route; old.Domain == r.Domain && old.Via == r.Via && old.Login == r.Login {
				s.logins[r] = l
			}
		}
		if s.logins[r] == nil {
			s.logins[r] = u.newLogin(r)
		}
	}
}

func (u *UA) newLogin(r *Route) *login {
	own := []string{u.sipDomain}
	if r.Domain != "*" {
		own = append(own, canonicalHost(r.Domain))
	}
	if !r.Via.IsZero() {
		own = append(own, r.Via.Host)
	}
	kind, _ := locate.ParseTransport(r.Via.Transport)
	return &login{client: digest.NewClient(r.Login.Username, r.Login.Password, own...), route: r, secure: kind.Secure(), log: u.log}
}

// request is what credentials for tx are made of, at a target.
func (l *login) request(tx *clientTx, to locate.Target) *digest.Request {
	return &digest.Request{Server: to.Addr.String(), Method: tx.req.method, URI: tx.req.uri(), Body: tx.req.Body}
}

// begin gives tx, before it is sent first, the credentials that its target will want.
func (l *login) begin(tx *clientTx, to locate.Target) {
	if l.secure && !to.Transport.Secure() {
		return
	}
	l.client.Begin(l.request(tx, to), &tx.attempt)
	tx.req.auth = tx.attempt.Lines()
}

// bare takes the credentials that nobody has asked for off tx.
func (l *login) bare(tx *clientTx) {
	tx.attempt = digest.Attempt{}
	tx.req.auth = ""
}

// room is how much longer tx may become by what it is asked.
func (l *login) room(tx *clientTx, to locate.Target) int {
	return l.client.Room(l.request(tx, to), &tx.attempt)
}

// answer takes a challenge; false if there is nothing to be said to it, and so it is the
// answer to the request.
func (l *login) answer(tx *clientTx, status int, f *fields) bool {
	if l.secure && !tx.to.Transport.Secure() {
		return false
	}
	reply, realm := l.client.Answer(l.request(tx, tx.to), &tx.attempt, f.wwwAuth, f.proxyAuth)
	if reply == digest.Again {
		return true
	}
	again := warnAgain
	if tx.done != nil {
		again = warnOwnAgain
	}
	l.tell(reply, status, realm, again)
	return false
}

// warnOwnAgain is warnAgain for requests of ours: a registration goes on asking, and says
// itself what has become of it.
const warnOwnAgain = 24 * time.Hour

// tell lets the operator know, now and then, that the login is no use. That of an account is
// its user's business, who is told by what becomes of it.
func (l *login) tell(reply digest.Reply, status int, realm string, again time.Duration) {
	if l.route == nil {
		return
	}
	now := time.Now()
	l.mu.Lock()
	due := l.told[reply].IsZero() || now.Sub(l.told[reply]) >= again
	if due {
		l.told[reply] = now
	}
	l.mu.Unlock()
	if !due {
		return
	}
	attrs := []any{"route", l.route.Domain, "status", status}
	switch reply {
	case digest.Rejected:
		l.log.Warn("a server of a route does not accept who we are", append(attrs, "remedy", "are sip.route.username and password those that the server knows?")...)
	case digest.Foreign:
		realm = mapping.HeaderText(realm)
		l.log.Warn("a challenge is not answered: its realm is none that the route's login is for", append(attrs, "realm", realm[:min(len(realm), 100)],
			"remedy", "the first realm that asks on a route is the one that is answered, besides that of its registrar and the domain of the route; if the server has a new one, restart stox")...)
	case digest.Unsupported:
		l.log.Warn("a challenge cannot be answered", append(attrs, "remedy", "the server has to offer digest with MD5, SHA-256 or SHA-512-256, and qop auth; Basic is never answered")...)
	}
}

// isChallenge reports whether a final response wants to know who we are.
func isChallenge(status int) bool { return status == 401 || status == 407 }

// suspend takes a request out of its transaction, which a challenge has ended, and gives it
// the id of the next one. client.mu is held; what comes next of tx is the caller's, but for
// close.
func (c *client) suspend(tx *clientTx) {
	if tx.req.probe == nil && !tx.hop.account {
		c.health.Worked(tx.to)
	} else { // says no more than any other answer to a question
		c.health.Answers(tx.to)
	}
	tx.again.stop()
	tx.giveUp.stop()
	tx.sent, tx.udp, tx.stream, tx.start, tx.wire = false, nil, nil, math.MaxUint64, nil
	tx.step, tx.repeated, tx.proceeding = 0, false, false
	c.open.remove(tx.id)
	for {
		if tx.id = c.ids.next(); c.open.get(tx.id) == nil {
			break
		}
	}
	c.open.put(tx)
}

// challenged sends a request again that was suspended, with what it was asked for, under
// the next number and to the same target (RFC 3261 §22.2, §22.3); or ends it with the
// challenge as its answer.
func (c *client) challenged(tx *clientTx, o mapping.Outcome, f *fields) {
	handled := false
	defer func() {
		if !handled { // a panic: no timer would end the request any more
			c.fail(tx, o)
		}
	}()
	if tx.req.CSeq >= maxCSeq || !tx.login.answer(tx, o.Status, f) {
		c.mu.Lock()
		c.endWith(tx, &o, f)
		c.mu.Unlock()
		handled = true
		return
	}
	next := *tx.req.SIPMessage
	next.CSeq++
	c.mu.Lock()
	tx.req.SIPMessage, tx.req.auth, tx.cseq = &next, tx.attempt.Lines(), next.CSeq
	c.mu.Unlock()
	c.send(tx, []locate.Target{tx.to})
	handled = true
}

const maxCSeq = 1<<31 - 1 // RFC 3261 §8.1.1.5

// learn takes what the response that ends tx says of further nonces. client.mu is held.
func (l *login) learn(tx *clientTx, f *fields) {
	if len(f.authInfo)+len(f.proxyInfo) > 0 {
		l.client.Learn(l.request(tx, tx.to), &tx.attempt, f.authInfo, f.proxyInfo)
	}
}
