package sipside

import (
	"slices"
	"strings"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// response takes a response from a read loop: its status, its first line as it came, and its
// headers, which are only lent. Those that match nothing are dropped: late ones (Timer K), and
// those that were never asked for (SIP-16).
func (c *client) response(rd *reader, status int, first string, f *fields) {
	if len(f.vias) != 1 {
		c.u.stats.Unmatched.Add(1)
		return
	}
	v, ok := parseVia(f.vias[0])
	id, made := c.parseBranch(v.branch)
	_, method, ok2 := parseCSeq(f.cseq)
	if !ok || v.rest != "" || !made || !ok2 || !c.u.isOurs(v) {
		c.u.stats.Unmatched.Add(1)
		return
	}
	if tx, o, kept := c.match(rd, status, first, id, method, f); tx != nil {
		c.challenged(tx, o, kept)
	}
}

// match takes a response to the request with an id. If that is to be sent again for it, as
// it was challenged, match gives it, what is its outcome if it is not, and the headers to keep.
func (c *client) match(rd *reader, status int, first string, id uint64, method string, f *fields) (again *clientTx, o mapping.Outcome, kept *fields) {
	c.mu.Lock()
	defer c.mu.Unlock()
	tx := c.open.get(id)
	// Over UDP the source is not looked at (RFC 3261 §17.1.3): a server with several
	// addresses may answer from another one, and who knows the branch has seen the
	// request.
	if tx == nil || !tx.sent || tx.stream != rd.stream || method != tx.req.method {
		c.u.stats.Unmatched.Add(1)
		return nil, o, nil
	}
	c.u.stats.received[methodIndex(method)].add(status)
	if status < 200 {
		if tx.udp != nil && !tx.proceeding {
			tx.proceeding, tx.step = true, len(timerE)-1 // from now on every T2
			tx.again.stop()
			c.steps[tx.step].push(&tx.again, tx, time.Now())
		}
		return nil, o, nil
	}
	o = finalOutcome(method, status, first, f)
	if tx.login != nil || tx.done != nil { // of others nobody asks for them
		kept = new(*f)
		kept.vias = slices.Clone(f.vias) // its place is the reader's
	}
	if tx.login != nil {
		if isChallenge(status) {
			c.suspend(tx)
			return tx, o, kept
		}
		tx.login.learn(tx, kept)
	}
	c.endWith(tx, &o, kept)
	return nil, o, nil
}

// finalOutcome reads a final response to a request of that method. The first line is
// taken as it came.
func finalOutcome(method string, status int, first string, f *fields) mapping.Outcome {
	o := mapping.Outcome{Kind: mapping.Answered, Status: status, Agent: f.agent}
	if status == 415 || status < 300 && method == methodOptions {
		o.Accept = mapping.HeaderText(f.accept)
	}
	if aboutEvents(method) {
		o.Event = readEventAnswer(status, f)
	}
	if status < 300 {
		return o
	}
	_, reason, _ := strings.Cut(first, " ")
	_, reason, _ = strings.Cut(reason, " ")
	reason = strings.Clone(reason) // kept while the request waits to be tried again: without the message around it
	var contacts []string
	for _, row := range f.contacts {
		for row != "" && len(contacts) < maxRows {
			var one string
			one, row = cutList(row)
			contacts = append(contacts, one)
		}
	}
	o.Failure = mapping.FailureFromStatus(status, reason, parseRetryAfter(f.retryAfter), contacts, f.warnings...)
	return o
}

// parseRetryAfter reads Retry-After (RFC 3261 §20.33). 0 if it cannot be read, else from a
// second to a day: its presence alone says that a later try may succeed (ERR-06).
func parseRetryAfter(s string) time.Duration { return parseSeconds(s, maxRetryAfter) }

const maxRetryAfter = 24 * 3600 // seconds
