package sipside

import (
	"fmt"
	"log/slog"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/stoxgw/stox/mapping"
)

// Sizes of a request, headers included.
const (
	maxUnrouted = 1300  // without a route (RFC 3428 §8), and over UDP (RFC 3261 §18.1.1)
	maxRouted   = 65536 // over TCP to a route
)

// maxSMS is how many characters a text message to a telephone has at most, as those that
// relay to the telephone network count: they refuse what is longer, or cut it off.
const maxSMS = 160

// textSize is what the rule of SMS trunks says of the text of a request.
type textSize struct {
	chars int  // the most characters that it may have; 0: any number
	long  bool // it has more
}

// count looks at the text of a request for the rule of SMS trunks: on a route with
// SizeSplit what goes to a telephone number has 160 characters at most, its mark as a part
// included. They are code points: nobody but the trunk knows how many an emoji takes of
// the coding that it uses.
func (h *hop) count(m *mapping.SIPMessage) (t textSize) {
	if h.rule != nil && h.rule.Size == SizeSplit && m.RequestURI.Phone {
		t = textSize{maxSMS, utf8.RuneCount(m.Body) > maxSMS}
	}
	return t
}

// fit decides whether a request of n bytes, of which so many are its body, goes over TCP,
// or not at all (IM-62, EL-005). stream says that its target takes one. With a Failure,
// room is how long the body of a request may be that does go, if the text may be sent in
// parts; 0: it may not. A text of too many characters (long) is as too long as one of too
// many bytes.
func (h *hop) fit(n, body int, stream, long bool) (overTCP bool, room int, f *mapping.Failure) {
	limit, size := maxRouted, SizeTCP
	if h.rule != nil {
		if h.rule.MaxBytes > 0 {
			limit = h.rule.MaxBytes
		}
		if h.rule.Size != "" {
			size = h.rule.Size
		}
	}
	// A big request moves to TCP, to the same next hop (SIP-07). Without a route nobody
	// knows what it meets behind that.
	overTCP = stream || n > maxUnrouted && size == SizeTCP
	if h.route == nil || !overTCP {
		limit = min(limit, maxUnrouted)
	}
	if n <= limit && !long {
		return overTCP, 0, nil
	}
	f = mapping.FailTooLarge(limit)
	if long {
		f = mapping.FailTooLarge(0) // bytes would be the wrong word
	}
	f.Remedy = h.remedy(limit, overTCP, long)
	if size == SizeSplit {
		room = max(limit-(n-body), 0)
	}
	return false, room, f
}

// remedy says how longer messages than limit can go.
func (h *hop) remedy(limit int, tcp, long bool) string {
	switch {
	case long:
		return fmt.Sprintf("a text to a telephone number goes in messages of %d characters, and is not sent if it would take more than 99", maxSMS)
	case h.rule != nil && h.rule.Size == SizeSplit:
		return "a text that would take more than 99 messages, or less than 16 bytes in each, is not sent in parts (sip.route.max_message_bytes)"
	case h.route == nil && limit == maxUnrouted:
		return fmt.Sprintf("a sip.route with via for the domain lifts the limit to %d bytes, over TCP", maxRouted)
	case h.rule.MaxBytes == limit:
		return `sip.route.max_message_bytes is the limit; size = "split" sends long texts in parts`
	case !tcp:
		return `sip.route.size: "tcp" sends what is too long for UDP over TCP, "split" in parts`
	}
	return `sip.route.size = "split" sends long texts in parts`
}

// A trunk to which all messages are long would fill the log: it says what is done about a
// size this often.
const sizeLogEvery = 10 * time.Second

// sizeLog tells the operator of requests that do not go as they are for their size. It
// has one line for each of the three things that are done about it, and then.
type sizeLog struct {
	log *slog.Logger

	mu    sync.Mutex // guards the following
	lines [3]struct {
		at    time.Time // of the last line
		count int       // requests since the one before it
	}
}

// note takes what fit has made of a request of n bytes.
func (l *sizeLog) note(tx *clientTx, n int, moved bool, room int, f *mapping.Failure) {
	i, msg := 0, "a request is too long for UDP: it goes over TCP"
	switch {
	case room > 0:
		i, msg = 1, "a request is too long: if its text can be cut, it goes in parts"
	case f != nil:
		i, msg = 2, "a request is too long, and is not sent"
	case !moved:
		return
	}
	now := time.Now()
	l.mu.Lock()
	line := &l.lines[i]
	line.count++
	count := line.count
	due := line.at.IsZero() || now.Sub(line.at) >= sizeLogEvery
	if due {
		line.at, line.count = now, 0
	}
	l.mu.Unlock()
	if !due {
		return
	}
	attrs := []any{"dir", "xmpp-sip", "from", tx.req.From.String(), "to", tx.req.RequestURI.String(), "call_id", tx.req.CallID, "bytes", n, "count", count}
	if f != nil {
		attrs = append(attrs, "err", f.Text)
	}
	if f != nil && room == 0 {
		attrs = append(attrs, "remedy", f.Remedy)
	}
	l.log.Info(msg, attrs...)
}
