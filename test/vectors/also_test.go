package vectors

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// before is what has to be so before the first step, and cannot be said in a state. It
// gives the steps that are then to be played.
var before = map[string]func(p *player, steps []step) ([]step, error){
	// A Via is known to be the gateway's own by the branch, which nobody else can make: a
	// name or an address it may share with others. The branch that the vector calls ours
	// stands for one that the gateway has made.
	"M-055": func(p *player, steps []step) ([]step, error) {
		own, err := p.ownBranch()
		if err != nil {
			return nil, err
		}
		steps = slices.Clone(steps)
		steps[0].Data = strings.Replace(steps[0].Data, "z9hG4bKours", own, 1)
		p.seen = append(p.seen, capture{"branch", own})
		return steps, nil
	},
}

// upTo are the vectors whose note makes a wait the longest time that something may take,
// which the next step shows. The peer answers when that comes and not when the time is
// over: half a minute without an answer would be another story.
var upTo = map[string]bool{
	"M-066": true,
}

// ownBranch lets the gateway send a request and gives the branch of it.
func (p *player) ownBranch() (string, error) {
	const stanza = "<message from='juliet@example.com/balcony' to='romeo@example.net' id='before'><body>hi</body></message>"
	if err := p.give(step{Dir: dirIn, Net: netXMPP, Data: stanza}); err != nil {
		return "", err
	}
	e, ok := p.w.next(netSIP, patience)
	if !ok {
		return "", fmt.Errorf("nothing was sent")
	}
	p.requests = append(p.requests, e.sip)
	err := p.give(step{Dir: dirIn, Net: netSIP, Data: "SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"})
	p.wire = nil
	return e.sip.Branch(), err
}

// also is what the notes of vectors say that no step can show.
var also = map[string]func(p *player) error{
	// Each message of a thread has its own From tag and CSeq.
	"M-003": func(p *player) error {
		if p.bound["tag1"] == p.bound["tag2"] || p.bound["cseq1"] == p.bound["cseq2"] {
			return fmt.Errorf("the second message looks like the first: %v", p.bound)
		}
		return nil
	},
	"M-004": legalCallID,
	"M-010": remembers,
	"M-035": legalCallID,
	// A 503 asks to stay away for 1 to 10 seconds.
	"M-052": func(p *player) error {
		s, err := strconv.Atoi(p.last("_seconds"))
		if err != nil || s < 1 || s > 10 {
			return fmt.Errorf("Retry-After: %s", p.last("_seconds"))
		}
		return nil
	},
	// Parts are within the limit and add up to the text.
	"M-062": func(p *player) error {
		body := strings.Repeat("y", 1400)
		for _, r := range p.requests {
			if len(r.Raw) > 1300 {
				return fmt.Errorf("a part has %d bytes", len(r.Raw))
			}
		}
		if got := p.last("_a") + p.last("_b"); got != body {
			return fmt.Errorf("the parts say %q", got)
		}
		return nil
	},
	// A temporary refusal is tried again with the next CSeq.
	"M-066": func(p *player) error {
		first, err1 := strconv.Atoi(p.bound["cseq1"])
		second, err2 := strconv.Atoi(p.bound["cseq2"])
		if err1 != nil || err2 != nil || second != first+1 {
			return fmt.Errorf("CSeq %s, then %s", p.bound["cseq1"], p.bound["cseq2"])
		}
		if after := p.times[1].Sub(p.times[0]); after < 5*time.Second {
			return fmt.Errorf("tried again after %v, with Retry-After: 5", after)
		}
		return nil
	},
	"M-067": arrived,
	"M-069": func(p *player) error {
		if notice := p.last("_notice"); !strings.Contains(notice, "10:00") {
			return fmt.Errorf("the notice does not say when the message was sent: %s", notice)
		}
		return arrived(p)
	},
}

// last is the last value that a placeholder had.
func (n *names) last(name string) (value string) {
	for _, c := range n.seen {
		if c.name == name {
			value = c.value
		}
	}
	return value
}

var callID = regexp.MustCompile("^[0-9A-Za-z\\-.!%*_+`'~()<>:\\\\\"/\\[\\]?{}]+(@[0-9A-Za-z\\-.!%*_+`'~()<>:\\\\\"/\\[\\]?{}]+)?$")

// legalCallID: word or word@word (RFC 3261 §25.1).
func legalCallID(p *player) error {
	if !callID.MatchString(p.bound["callid"]) {
		return fmt.Errorf("Call-ID: %s", p.bound["callid"])
	}
	return nil
}

// arrived: the text says that the message may have arrived.
func arrived(p *player) error {
	if text := p.last("_text"); !strings.Contains(text, "may have arrived") {
		return fmt.Errorf("the text does not say that the message may have arrived: %s", text)
	}
	return nil
}
