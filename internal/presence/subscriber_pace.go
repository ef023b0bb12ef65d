package presence

import (
	"container/list"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// The pace of SUBSCRIBE requests: after a restart, and when a user with many contacts comes,
// there are thousands to be sent.
const (
	paceAtOnce = 50
	paceRate   = 50.0 // a second
	maxOpenAt  = 8    // without an answer at one destination ...
	maxOpenOf  = 4    // ... of one user: contacts that do not answer are in nobody else's way
)

// pace lets subscriptions have their turn: those of one user at one destination in the order
// in which they came, the users and the destinations one after the other. A subscription waits in one place at
// most, so there are no more than of those.
type pace struct {
	destinations map[string]*destination // where something waits or has no answer
	turns        list.List               // of *destination: with something that may go
	tokens       float64
	filled       time.Time
	timer        timer
	waiting      int
}

// destination is a host that requests go to.
type destination struct {
	host  string
	open  int                     // without an answer
	users map[mapping.JID]*userAt // of whom something waits or has no answer
	ready list.List               // of *userAt: with something that may go
	turn  *list.Element
}

// userAt is a user at a destination.
type userAt struct {
	user    mapping.JID
	open    int       // without an answer
	waiting list.List // of *subscription
	turn    *list.Element
}

func newPace() pace {
	return pace{destinations: make(map[string]*destination), tokens: paceAtOnce}
}

// enqueue has s send a SUBSCRIBE when it is its turn. e.mu is held.
func (e *Engine) enqueue(out *work, s *subscription) {
	if s.queued != nil || s.open != nil || e.closing && !s.ended {
		return
	}
	p := &e.subscriber.pace
	d := p.destinations[s.to.Host]
	if d == nil {
		d = &destination{host: s.to.Host, users: make(map[mapping.JID]*userAt)}
		p.destinations[d.host] = d
	}
	u := d.users[s.user]
	if u == nil {
		u = &userAt{user: s.user}
		d.users[u.user] = u
	}
	s.at, s.queued = d, u.waiting.PushBack(s)
	p.waiting++
	p.look(d, u)
	e.pump(out)
}

// dequeue takes s out, if it waits. e.mu is held.
func (e *Engine) dequeue(s *subscription) {
	if s.queued == nil {
		return
	}
	p, d := &e.subscriber.pace, s.at
	u := d.users[s.user]
	u.waiting.Remove(s.queued)
	s.queued, s.at = nil, nil
	if p.waiting--; p.waiting == 0 {
		e.timers.stop(&p.timer)
	}
	p.look(d, u)
}

// release takes that a request of a user to a destination has its answer. e.mu is held.
func (e *Engine) release(out *work, d *destination, user mapping.JID) {
	u := d.users[user]
	d.open--
	u.open--
	e.subscriber.pace.look(d, u)
	e.pump(out)
}

// look gives u and d a turn, or takes it away.
func (p *pace) look(d *destination, u *userAt) {
	may := u.waiting.Len() > 0 && u.open < maxOpenOf
	switch {
	case may && u.turn == nil:
		u.turn = d.ready.PushBack(u)
	case !may && u.turn != nil:
		d.ready.Remove(u.turn)
		u.turn = nil
	}
	if u.open == 0 && u.waiting.Len() == 0 {
		delete(d.users, u.user)
	}
	may = d.ready.Len() > 0 && d.open < maxOpenAt
	switch {
	case may && d.turn == nil:
		d.turn = p.turns.PushBack(d)
	case !may && d.turn != nil:
		p.turns.Remove(d.turn)
		d.turn = nil
	}
	if len(d.users) == 0 {
		delete(p.destinations, d.host)
	}
}

// pump sends what may be sent now. e.mu is held.
func (e *Engine) pump(out *work) {
	p := &e.subscriber.pace
	if d := out.now.Sub(p.filled); d > 0 {
		p.tokens = min(paceAtOnce, p.tokens+d.Seconds()*paceRate)
		p.filled = out.now
	}
	for p.turns.Len() > 0 {
		if p.tokens < 1 {
			wait := time.Duration((1 - p.tokens) / paceRate * float64(time.Second))
			e.at(out, &p.timer, out.now.Add(wait+time.Millisecond), e.pump)
			return
		}
		p.tokens--
		d := p.turns.Front().Value.(*destination)
		p.turns.MoveToBack(d.turn)
		u := d.ready.Front().Value.(*userAt)
		d.ready.MoveToBack(u.turn)
		s := u.waiting.Front().Value.(*subscription)
		d.open++
		u.open++
		e.dequeue(s)
		e.send(out, s, d)
	}
}
