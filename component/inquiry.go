package component

import (
	"slices"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// An IQ that the handler answers is an inquiry until it does: a command or a registration to
// the gateway itself. Each has one answer (RFC 6120 §8.2.3), so they are kept in mind here:
// what the handler says twice, or too late, is not written, and of what it says nothing the
// asker is told so. They outlive the link, since the asker need not know that there is one.

const (
	maxInquiries    = 256              // without an answer
	maxInquiriesOf  = 8                // of one bare JID
	inquiryPatience = 60 * time.Second // then the asker is told that there is no answer
)

// inquiry is one of them.
type inquiry struct {
	from mapping.JID
	id   string
	due  time.Time
}

// Why the answer is another one than that of the handler.
var (
	errInquiries  = stanzaError{cond: mapping.CondResourceConstraint, typ: mapping.TypeWait, text: "Too many requests are waiting for an answer. Try again in 5 s."}
	errNoReply    = stanzaError{cond: mapping.CondRemoteServerTimeout, typ: mapping.TypeWait, text: "The gateway did not find an answer in time."}
	errBadReply   = stanzaError{cond: mapping.CondInternalServerError}
	errLargeReply = stanzaError{cond: mapping.CondInternalServerError, text: "The answer is too long."}
)

// inquire hands over an inquiry if there is room for it.
func (r *reader) inquire(q *asked) *stanzaError {
	if !r.l.q.inquire(q.from, q.id, time.Now()) {
		return &errInquiries
	}
	r.hand(q.inquiry)
	return nil
}

// inquire keeps an inquiry in mind, and reports whether there is room for it. The reader calls
// it in stream order.
func (q *queue) inquire(from mapping.JID, id string, now time.Time) bool {
	q.mu.Lock()
	defer q.releaseInTurn()
	of := 0
	for i := range q.inquiries {
		if q.inquiries[i].from.Bare() == from.Bare() {
			of++
		}
	}
	if of >= maxInquiriesOf || len(q.inquiries) >= maxInquiries {
		return false
	}
	due := now.Add(inquiryPatience)
	q.inquiries = append(q.inquiries, inquiry{from, id, due})
	q.lookAt(due)
	return true
}

// inquired is where in inquiries the one is that a answers: the oldest, if there are several
// that look alike. It is -1 if there is none. q.mu is held.
func (q *queue) inquired(a *addressed) int {
	if a.from != q.domain {
		return -1
	}
	return slices.IndexFunc(q.inquiries, func(i inquiry) bool { return i.id == a.id && i.from == a.to })
}

// closeInquiry ends one that has no answer, by an error. q.mu is held, and there is a link.
func (q *queue) closeInquiry(at int, e stanzaError) {
	i := q.inquiries[at]
	q.inquiries = slices.Delete(q.inquiries, at, at+1)
	start := len(q.buf)
	q.buf = appendOpen(q.buf, "iq", q.from, i.from.String(), i.id, "error")
	q.buf = append(q.buf, '>')
	q.buf = appendStanzaError(q.buf, q.by, e)
	q.buf = append(q.buf, "</iq>"...)
	size := len(q.buf) - start
	if size > q.maxStanza { // its id: see reply
		q.buf = q.buf[:start]
		return
	}
	q.end += uint64(size)
	q.takeSlot(size)
}

// lookInquiries answers those that have waited for too long. While there is no link they wait
// for the next one. q.mu is held.
func (q *queue) lookInquiries(now time.Time) {
	if !q.taking() {
		return
	}
	late := 0
	for len(q.inquiries) > 0 && !now.Before(q.inquiries[0].due) {
		q.closeInquiry(0, errNoReply)
		late++
	}
	if late > 0 {
		q.log.Warn("commands or registrations were not answered in time", "count", late)
	}
	if len(q.inquiries) > 0 {
		q.lookAt(q.inquiries[0].due)
	}
}
