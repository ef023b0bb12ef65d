package bridge

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// Whatever happens in whatever order - messages, answers, receipts and notifications of the
// right people and of others, bounces, lost links, restarts, a memory that is too small -
// everybody is told each thing once at most, only what is true and was asked for, and never
// that a message has both arrived and failed (IM-41, IM-42, IM-46, IM-48, IM-61, SEC-22).
func TestReceiptsModel(t *testing.T) {
	sum := make(map[string]int)
	for seed := range uint64(400) {
		ok := t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, s := newBridge(t)
				start(t, b)
				m := &receiptModel{running: &running{b, s, t, s.journal}, rng: rand.New(rand.NewPCG(seed, 7)), did: sum}
				m.play()
			})
		})
		if !ok {
			return
		}
	}
	for _, what := range []string{"received", "displayed", "error after notification", "error after answer", "received by 200", "delivered notification",
		"displayed notification", "error notification", "bare notification", "restart", "forgotten", "found again", "not written"} {
		if sum[what] == 0 {
			t.Errorf("no schedule has come by this: %s", what)
		}
	}
	t.Log(sum)
}

// receiptModel plays both sides, and keeps what may be said of each message.
type receiptModel struct {
	*running
	rng *rand.Rand
	did map[string]int

	toSIP   []*outgoingModel // in the order of their ids, m0, m1 ...
	toXMPP  []*incomingModel // likewise, c0, c1 ...
	open    []mapping.Parcel[mapping.SIP]
	seen    int // requests of this life that were looked at
	heard   int // likewise stanzas
	past    bool
	refused map[string]bool // Call-IDs of notifications that were answered 488
}

type outgoingModel struct {
	wants    mapping.Notice
	names    []string       // that requests of it had
	said     mapping.Notice // by notifications of the contact, under one of its names
	answered bool           // with a 200
	told     []string
}

type incomingModel struct {
	id    string
	wants mapping.Notice
	taken bool           // answered with 2xx
	said  mapping.Notice // by the user; NoticeFailed: a bounce
	told  []string
}

func (m *receiptModel) pick(n int) int { return m.rng.IntN(n) }

func (m *receiptModel) play() {
	p := *m.policy.Load()
	p.IMDN = []IMDN{"", IMDNIfKnown, IMDNAlways, IMDNNever}[m.pick(4)]
	p.Late = LateIMDN
	m.SetPolicy(p)
	for range 60 {
		switch m.pick(14) {
		case 0, 1:
			m.write()
		case 2, 3, 4:
			m.reply()
		case 5, 6, 7:
			m.notice()
		case 8, 9:
			m.request()
		case 10, 11:
			m.userReceipt()
		case 12:
			m.bounce()
		default:
			m.happen()
		}
		m.look()
	}
	for len(m.open) > 0 {
		m.reply()
		m.look()
	}
	time.Sleep(10 * time.Minute)
	m.settle()
	m.look()
	for i, o := range m.toSIP {
		slices.Sort(o.told)
		if len(slices.Compact(slices.Clone(o.told))) != len(o.told) || slices.Contains(o.told, "error") && len(o.told) > 1 {
			m.t.Errorf("m%d: told %v", i, o.told)
		}
	}
	for i, in := range m.toXMPP {
		slices.Sort(in.told)
		if len(slices.Compact(slices.Clone(in.told))) != len(in.told) || slices.Contains(in.told, "error") && len(in.told) > 1 {
			m.t.Errorf("c%d: told %v", i, in.told)
		}
	}
}

// write sends a message to SIP, sometimes one of a thread.
func (m *receiptModel) write() {
	x := asking(fmt.Sprint("m", len(m.toSIP)))
	x.Bodies[0].Value = "secret text of " + x.ID
	x.WantReceipt, x.Markable = m.pick(4) > 0, m.pick(2) > 0
	if m.pick(4) == 0 {
		x.Thread = "thread"
	}
	o := &outgoingModel{}
	if x.WantReceipt {
		o.wants |= mapping.NoticeDelivered
	}
	if x.Markable {
		o.wants |= mapping.NoticeDisplayed
	}
	m.toSIP = append(m.toSIP, o)
	m.FromXMPP([]mapping.XMPP{x})
	m.settle()
}

// reply answers a request.
func (m *receiptModel) reply() {
	if len(m.open) == 0 {
		return
	}
	i := m.pick(len(m.open))
	p := m.open[i]
	m.open = slices.Delete(m.open, i, i+1)
	o := answered([]int{200, 200, 200, 202, 404, 408, 415, 488, 503}[m.pick(9)])
	if _, ok := p.Value.(*mapping.SIPQuery); ok && m.pick(2) == 0 {
		o = answered(200)
		o.Accept = "text/plain, message/cpim"
	}
	if id := textOf(p.Value); o.Status == 200 && id != "" {
		m.outgoing(id).answered = true
	}
	if r, ok := p.Value.(*mapping.SIPMessage); ok && textOf(r) == "" && r.ContentType == mapping.TypeCPIM && o.Status == 488 {
		if m.refused == nil {
			m.refused = make(map[string]bool)
		}
		m.refused[r.CallID] = true
	}
	m.SIPOutcomes([]mapping.Result{{Ref: p.Ref, Outcome: o}})
	m.settle()
}

// textOf is the id of the message that a request is, "" if it is none.
func textOf(v mapping.SIP) string {
	r, ok := v.(*mapping.SIPMessage)
	if !ok || strings.Contains(string(r.Body), "<imdn ") {
		return ""
	}
	_, id, _ := strings.Cut(string(r.Body), "secret text of ")
	return id
}

func (m *receiptModel) outgoing(id string) *outgoingModel {
	var n int
	fmt.Sscanf(id, "m%d", &n)
	return m.toSIP[n]
}

// notice lets SIP say something of a message that it was sent once.
func (m *receiptModel) notice() {
	if len(m.toSIP) == 0 {
		return
	}
	o := m.toSIP[m.pick(len(m.toSIP))]
	if len(o.names) == 0 {
		return
	}
	name, from := o.names[m.pick(len(o.names))], romeoAt
	says := []mapping.Notice{mapping.NoticeDelivered, mapping.NoticeDelivered, mapping.NoticeDisplayed, mapping.NoticeFailed}[m.pick(4)]
	if m.pick(6) == 0 {
		from = "sip:tybalt@pbx.example.net"
	} else {
		for _, other := range m.toSIP {
			if slices.Contains(other.names, name) {
				other.said |= says
			}
		}
	}
	n := imdn(from, name, map[mapping.Notice]string{mapping.NoticeDelivered: saysDelivered, mapping.NoticeDisplayed: saysDisplayed, mapping.NoticeFailed: saysFailed}[says])
	m.side.mu.Lock()
	m.answers = nil
	m.side.mu.Unlock()
	m.FromSIP([]mapping.Parcel[mapping.SIP]{{Ref: n.CallID, Value: n}})
	m.settle()
	m.look()
	m.side.mu.Lock()
	defer m.side.mu.Unlock()
	if len(m.answers) != 1 {
		m.t.Errorf("%d answers to a notification", len(m.answers))
	}
}

// request is a message from SIP.
func (m *receiptModel) request() {
	in := &incomingModel{wants: mapping.Notice(m.pick(8))}
	callID := fmt.Sprint("c", len(m.toXMPP))
	m.toXMPP = append(m.toXMPP, in)
	in.id = m.arrive(wanting(callID, in.wants.String())).ID
	m.heard = m.told() // it is no news
	if m.pick(4) == 0 {
		m.userReceipt() // of this one too, before the answer
	}
	o := []mapping.Outcome{processed, processed, processed, {Kind: mapping.Unknown}, {Kind: mapping.Bounced, Failure: mapping.FailForbidden()}, {Kind: mapping.NotWritten}}[m.pick(6)]
	in.taken = o.Kind == mapping.Processed || o.Kind == mapping.Unknown
	for _, p := range m.stanzas {
		if x, ok := p.Value.(*mapping.XMPPMessage); ok && x.ID == in.id {
			m.XMPPOutcomes([]mapping.Result{{Ref: p.Ref, Outcome: o}})
		}
	}
	m.settle()
}

func (m *receiptModel) userReceipt() {
	if len(m.toXMPP) == 0 {
		return
	}
	in, from, read := m.toXMPP[m.pick(len(m.toXMPP))], julietX, m.pick(2) == 0
	switch {
	case m.pick(5) == 0:
		from = "nurse@example.com/x"
	case read:
		in.said |= mapping.NoticeDisplayed
	default:
		in.said |= mapping.NoticeDelivered
	}
	m.receipt(from, romeoX, in.id, read)
}

func (m *receiptModel) bounce() {
	if len(m.toXMPP) == 0 {
		return
	}
	in, from := m.toXMPP[m.pick(len(m.toXMPP))], "juliet@example.com"
	if m.pick(4) == 0 {
		from = "nurse@example.com"
	} else {
		in.said |= mapping.NoticeFailed
	}
	m.FromXMPP([]mapping.XMPP{&mapping.XMPPError{From: mapping.MustParseJID(from), To: mapping.MustParseJID(romeoX), ID: in.id,
		Failure: mapping.FailureFromStanza(mapping.CondServiceUnavailable, "", "", "")}})
	m.settle()
}

// happen is what neither side does.
func (m *receiptModel) happen() {
	switch m.pick(4) {
	case 0:
		m.look()
		m.restart()
		m.open, m.seen, m.heard, m.past = nil, 0, 0, true
		m.did["restart"]++
	case 1:
		m.Bridge.mu.Lock()
		m.receipts = receipts{}
		m.Bridge.mu.Unlock()
		m.past = true
		m.did["forgotten"]++
	default:
		time.Sleep(time.Duration(m.pick(40)) * time.Second)
		m.settle()
	}
}

// look takes in what the bridge has said to either side, and gives the stanzas their
// outcomes.
func (m *receiptModel) look() {
	for {
		m.side.mu.Lock()
		requests, stanzas := slices.Clone(m.requests[m.seen:]), slices.Clone(m.stanzas[m.heard:])
		m.seen, m.heard = len(m.requests), len(m.stanzas)
		m.side.mu.Unlock()
		if len(requests)+len(stanzas) == 0 {
			return
		}
		for _, p := range requests {
			m.open = append(m.open, p)
			m.sent1(p.Value)
		}
		for _, p := range stanzas {
			o := processed
			if _, ok := p.Value.(*mapping.XMPPReceipt); ok && p.Ref != nil && m.pick(6) == 0 {
				o = mapping.Outcome{Kind: mapping.NotWritten}
				m.did["not written"]++
			}
			m.said1(p, o.Kind == mapping.Processed)
			m.XMPPOutcomes([]mapping.Result{{Ref: p.Ref, Outcome: o}})
		}
		m.settle()
	}
}

// sent1 judges a request.
func (m *receiptModel) sent1(v mapping.SIP) {
	r, ok := v.(*mapping.SIPMessage)
	if !ok {
		return
	}
	if id := textOf(v); id != "" {
		o := m.outgoing(id)
		name := r.CallID
		if mid := messageID(r); mid != "" {
			name = mid
		}
		if !slices.Contains(o.names, name) {
			o.names = append(o.names, name)
		}
		if messageID(r) != "" && o.wants == 0 {
			m.t.Errorf("%s: notifications are asked for", id)
		}
		return
	}
	if r.ContentType == mapping.TypeIMDN { // the other form of one that was judged
		if !m.refused[r.CallID] {
			m.t.Errorf("a notification without its message/cpim, which nobody has refused: %s", r.Body)
		}
		delete(m.refused, r.CallID)
		m.did["bare notification"]++
		return
	}
	body := string(r.Body)
	for i, in := range m.toXMPP {
		if !strings.Contains(body, fmt.Sprintf("<message-id>id-c%d</", i)) {
			continue
		}
		what, word := mapping.NoticeDelivered, "delivered"
		switch {
		case strings.Contains(body, "<displayed/>"):
			what, word = mapping.NoticeDisplayed, "displayed"
		case strings.Contains(body, "<error/>"):
			what, word = mapping.NoticeFailed, "error"
		}
		in.told = append(in.told, word)
		m.did[word+" notification"]++
		if !in.wants.Has(what) || !in.said.Has(what) || !in.taken {
			m.t.Errorf("c%d, which wants %s, answered 2xx %t, and of which was said %s: told %s", i, in.wants, in.taken, in.said, word)
		}
		if m.past {
			m.did["found again"]++
		}
	}
}

// said1 judges a stanza, which reaches its user or does not.
func (m *receiptModel) said1(p mapping.Parcel[mapping.XMPP], reaches bool) {
	switch v := p.Value.(type) {
	case *mapping.XMPPReceipt:
		o := m.outgoing(v.About)
		what, word := mapping.NoticeDelivered, "received"
		if v.Read {
			what, word = mapping.NoticeDisplayed, "displayed"
		}
		by200 := p.Ref == nil && !v.Read && o.answered
		if !o.wants.Has(what) || !o.said.Has(what) && !by200 {
			m.t.Errorf("%s, which wants %s, and of which was said %s, 200 %t: told %s", v.About, o.wants, o.said, o.answered, word)
		}
		m.did[word]++
		if by200 {
			m.did["received by 200"]++
		}
		if reaches {
			o.told = append(o.told, word)
		}
	case *mapping.XMPPError:
		o := m.outgoing(v.ID)
		if v.Failure.Text == mapping.FailNotified().Text {
			m.did["error after notification"]++
			if !o.said.Has(mapping.NoticeFailed) || o.wants == 0 {
				m.t.Errorf("%s: an error that nobody has reported", v.ID)
			}
		} else {
			m.did["error after answer"]++
		}
		o.told = append(o.told, "error")
	}
}
