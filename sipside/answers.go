package sipside

import (
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/stoxgw/stox/mapping"
)

// response takes a response from a read loop. Those that match nothing are
// dropped: late ones (Timer K), and those that were never asked for (SIP-16).
func (c *client) response(rd *reader, res *sip.Response) {
	f := readFields(res.Headers())
	if len(f.vias) != 1 {
		c.u.stats.Unmatched.Add(1)
		return
	}
	v, ok := parseVia(f.vias[0])
	id, made := c.parseBranch(v.branch)
	_, method, ok2 := parseCSeq(f.cseq)
	if !ok || v.rest != "" || !made || !ok2 || method != "MESSAGE" || !c.u.isOurs(v) {
		c.u.stats.Unmatched.Add(1)
		return
	}
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	tx := c.open[id]
	// Over UDP the source is not looked at (RFC 3261 §17.1.3): a server with several
	// addresses may answer from another one, and who knows the branch has seen the
	// request.
	if tx == nil || !tx.sent || tx.stream != rd.stream {
		c.u.stats.Unmatched.Add(1)
		return
	}
	if res.StatusCode < 200 {
		if tx.udp != nil && !tx.proceeding {
			tx.proceeding, tx.step = true, len(timerE)-1 // from now on every T2
			tx.again.stop()
			c.steps[tx.step].push(&tx.again, tx, now)
		}
		return
	}
	c.end(tx, finalOutcome(res, rd.first, &f))
}

// finalOutcome reads a final response. The first line is taken as it came.
func finalOutcome(res *sip.Response, first string, f *fields) mapping.Outcome {
	o := mapping.Outcome{Kind: mapping.Answered, Status: res.StatusCode}
	if res.StatusCode < 300 {
		return o
	}
	_, reason, _ := strings.Cut(first, " ")
	_, reason, _ = strings.Cut(reason, " ")
	var contacts []string
	for _, row := range f.contacts {
		for row != "" && len(contacts) < maxRows {
			var one string
			one, row = cutList(row)
			contacts = append(contacts, one)
		}
	}
	o.Failure = mapping.FailureFromStatus(res.StatusCode, reason, parseRetryAfter(f.retryAfter), contacts)
	return o
}

// parseRetryAfter reads Retry-After (RFC 3261 §20.33): seconds, which a comment and
// parameters may follow. 0 if it cannot be read, else from a second to a day: its
// presence alone says that a later try may succeed (ERR-06).
func parseRetryAfter(s string) time.Duration {
	s = strings.Trim(s, " \t")
	digits := s
	if i := strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' }); i >= 0 {
		if !strings.ContainsRune(" \t(;", rune(s[i])) {
			return 0
		}
		digits = s[:i]
	}
	if digits == "" {
		return 0
	}
	n, err := strconv.ParseUint(digits, 10, 32)
	if err != nil {
		n = maxRetryAfter // more digits than that
	}
	return time.Duration(min(max(n, 1), maxRetryAfter)) * time.Second
}

const maxRetryAfter = 24 * 3600 // seconds
