package sipside

import (
	"bytes"

	"github.com/stoxgw/stox/mapping"
)

// This file deals with what nearly every request ends with: a 2xx to a MESSAGE, which says
// nothing that somebody wants to know but that, and who says it. Such answers are kept while
// there is more of the same read, and matched together.

// answer is a response that is no more than that, as far as it says itself.
type answer struct {
	id     uint64 // of the request
	status int
	agent  string

	// For whoever has to read it in full, until more is read.
	head  []byte // start line and headers
	start int    // bytes of the start line
}

// plainAnswer gives the id of the request that the response with the headers of rd.head is the
// plain answer to. It is false for all others, whatever they are.
func (rd *reader) plainAnswer(b []byte, status int) (id uint64, ok bool) {
	if status/100 != 2 {
		return 0, false
	}
	var via, cseq []byte
	for _, r := range rd.head.rows[:rd.head.n] {
		v := b[r.from:r.to]
		switch r.is {
		case viaHeader:
			if via != nil {
				return 0, false
			}
			via = v
		case cseqHeader:
			if cseq != nil {
				return 0, false
			}
			cseq = v
		}
	}
	if !isPlainCSeq(cseq) {
		return 0, false
	}
	return rd.u.client.plainID(via, rd.out.name())
}

// isPlainCSeq reports whether b is the usual form of a CSeq of a MESSAGE.
func isPlainCSeq(b []byte) bool {
	digits, ok := bytes.CutSuffix(b, []byte(" "+methodMessage))
	return ok && len(digits) <= 9 && isDigits(digits)
}

// plainID gives the id of the request whose only Via, as it has come back, is row, if it was
// sent with that sent-by and has the usual form: see via.plainRow. It says false of all others.
func (c *client) plainID(row []byte, sentBy string) (id uint64, ok bool) {
	const before = len("SIP/2.0/UDP ")
	if len(row) < before+len(sentBy) || string(row[before:before+len(sentBy)]) != sentBy {
		return 0, false
	}
	switch string(row[:before]) {
	case "SIP/2.0/UDP ", "SIP/2.0/TCP ":
	default:
		return 0, false
	}
	for i := before + len(sentBy); i < len(row); {
		if row[i] != ';' {
			return 0, false
		}
		const branch = "branch="
		if v := row[i+1:]; !ok && len(v) >= len(branch)+branchLen && string(v[:len(branch)]) == branch {
			if id, ok = c.ownBranch(v[len(branch):]); !ok {
				return 0, false
			}
			i += 1 + len(branch) + branchLen
			continue
		}
		i++
		name := i
		for i < len(row) && tokenChar[row[i]] {
			i++
		}
		if n := row[name:i]; len(n) == 0 || len(n) == len("branch") && bytes.EqualFold(n, []byte("branch")) {
			return 0, false
		}
		if i < len(row) && row[i] == '=' {
			value := i + 1
			for i++; i < len(row) && valueChar[row[i]]; i++ {
			}
			if i == value {
				return 0, false
			}
		}
	}
	return id, ok
}

// agentOf is what the response with the headers of rd.head says of who has made it. The last
// one is remembered: there are few.
func (rd *reader) agentOf(b []byte) string {
	var v []byte
	for _, r := range rd.head.rows[:rd.head.n] {
		if r.is == agentHeader {
			v = b[r.from:r.to]
		}
	}
	if len(v) == 0 {
		return ""
	}
	if string(v) != rd.agent {
		rd.agent = string(v)
	}
	return rd.agent
}

// keepAnswer keeps a plain answer until match.
func (rd *reader) keepAnswer(a answer) {
	if len(rd.answers) == mostAnswers {
		rd.match()
	}
	rd.answers = append(rd.answers, a)
}

// mostAnswers is how many are matched with one lock of the client at most.
const mostAnswers = udpBatch

// match deals with the plain answers of this read so far.
func (rd *reader) match() {
	for rd.matched < len(rd.answers) {
		rd.guard(func() { rd.matchSome() })
	}
	clear(rd.answers)
	rd.answers, rd.matched = rd.answers[:0], 0
}

// matchSome ends the requests that plain answers are to, and has their outcomes told by who
// calls tell next. It stops behind one that has to be read in full.
func (rd *reader) matchSome() {
	i := rd.u.client.endPlain(rd)
	if i < 0 {
		return
	}
	a := &rd.answers[i]
	var head plainHead
	if head.scan(a.head, a.start, rd.u.limits) {
		rd.respond(&head, a.head, a.status, a.start)
	}
}

// endPlain is matchSome up to the first one that has to be read in full. It gives the place of
// that, -1 if there is none.
func (c *client) endPlain(rd *reader) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.putResults()
	received := &c.u.stats.received[methodIndex(methodMessage)]
	for rd.matched < len(rd.answers) {
		a := &rd.answers[rd.matched]
		rd.matched++
		tx := c.open.get(a.id)
		switch {
		case tx == nil || !tx.sent || tx.stream != rd.stream || tx.req.method != methodMessage:
			c.u.stats.Unmatched.Add(1)
			continue
		case tx.login != nil || tx.done != nil:
			return rd.matched - 1
		}
		received.add(a.status)
		o := mapping.Outcome{Kind: mapping.Answered, Status: a.status, Agent: a.agent}
		c.takeOut(tx, &o)
		c.results = append(c.results, mapping.Result{Ref: tx.ref, Outcome: o})
		c.recycle(tx, &o)
	}
	return -1
}

// putResults puts what endPlain has gathered into the outbox. The lock is held.
func (c *client) putResults() {
	c.u.outbox.putAll(c.results)
	clear(c.results)
	c.results = c.results[:0]
}
