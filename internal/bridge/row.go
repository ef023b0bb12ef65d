package bridge

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// The Data of a row, version 2. Integers are varints, strings and octets have their
// length before them, times are milliseconds since 1970, 0 for none.
//
//	byte     version
//	byte     flags
//	strings  from, to, id
//	ints     attempts, ambiguous (and rowLeft), notBefore
//	int      requests that have arrived, if flagParts
//	byte     what its sender wants, with bits of its own, if flagWants; then
//	strings  type, messageID
//	failure  problem, if flagProblem
//	failure  reported, if flagReported; then only the Call-ID of the last request follows
//	int      number of requests, then each: see appendMessage
const rowVersion = 2

const (
	flagSent byte = 1 << iota
	flagNextTried
	flagRestart
	flagProblem
	flagReported
	flagReshaped
	flagParts
	flagWants
)

// What a message with flagWants says beside what its sender wants (mapping.Notice).
const (
	wantsConfirmed = 1 << 6
	wantsUnsure    = 1 << 7
	wantsNotices   = byte(mapping.NoticeDelivered | mapping.NoticeDisplayed | mapping.NoticeFailed)
)

// rowLeft says that the request that is next has left before.
const rowLeft = 1 << 8

// maxParts bounds what a row is believed to hold.
const maxParts = 1024

var errRow = errors.New("bridge: the row cannot be read")

// encode makes the row of o. The text of a message that is given up is not in it.
func (o *outbound) encode() Row { return o.rowOf(o.appendRow(nil)) }

func (o *outbound) rowOf(data []byte) Row {
	return Row{ID: o.row, Rev: o.rev, Lane: o.lane, Data: data, Read: o.read, Expire: o.expire}
}

// maxRowBuf is how big a buffer for the rows of a batch may be that is kept.
const maxRowBuf = 128 << 10

// encode makes the rows of messages, which share the memory of their Data: they go to the
// disk together. They are valid until the next call.
func (w *work) encode(messages []*outbound) []Row {
	rows, buf := emptied(w.rows), w.data[:0]
	for _, o := range messages {
		from := len(buf)
		buf = o.appendRow(buf)
		rows = append(rows, o.rowOf(buf[from:])) // how long it is counts
	}
	all := bytes.Clone(buf)
	for i := range rows {
		n := len(rows[i].Data)
		rows[i].Data, all = all[:n:n], all[n:]
	}
	if w.rows, w.data = rows, buf; cap(buf) > maxRowBuf {
		w.data = nil
	}
	return rows
}

func (o *outbound) flags() (flags byte) {
	set := func(on bool, bit byte) {
		if on {
			flags |= bit
		}
	}
	set(o.sent, flagSent)
	set(o.nextTried, flagNextTried)
	set(o.restart, flagRestart)
	set(o.reshaped, flagReshaped)
	set(o.problem != nil, flagProblem)
	set(o.reported != nil, flagReported)
	set(o.arrived > 0, flagParts)
	set(o.wants != 0, flagWants)
	return flags
}

func (o *outbound) appendRow(b []byte) []byte {
	b = append(b, rowVersion, o.flags())
	b = appendText(b, o.from.String())
	b = appendText(b, o.to.String())
	b = appendText(b, o.id)
	b = binary.AppendUvarint(b, uint64(o.attempts))
	ambiguous := uint64(o.ambiguous)
	if o.left {
		ambiguous |= rowLeft
	}
	b = binary.AppendUvarint(b, ambiguous)
	b = appendTime(b, o.notBefore)
	if o.arrived > 0 {
		b = binary.AppendUvarint(b, uint64(o.arrived))
	}
	if o.wants != 0 {
		wants := byte(o.wants)
		if o.confirmed {
			wants |= wantsConfirmed
		}
		if o.unsure {
			wants |= wantsUnsure
		}
		b = append(b, wants)
		b = appendText(b, o.typ)
		b = appendText(b, o.messageID)
	}
	if o.problem != nil {
		b = appendFailure(b, o.problem)
	}
	if o.reported != nil {
		b = appendFailure(b, o.reported)
		b = appendText(b, o.callID())
	} else {
		b = binary.AppendUvarint(b, uint64(len(o.parts)))
		for _, p := range o.parts {
			b = appendMessage(b, p.(*mapping.SIPMessage))
		}
	}
	return b
}

// decode reads what encode wrote. Versions are counted anew: nothing of older ones is
// under way when a row is read.
func decode(r Row) (*outbound, error) {
	if len(r.Data) < 2 || r.Data[0] != rowVersion {
		return nil, fmt.Errorf("%w: version", errRow)
	}
	flags := r.Data[1]
	p := rowReader{b: r.Data[2:]}
	o := &outbound{row: r.ID, rev: 1, kept: 1, lane: r.Lane, read: r.Read, expire: r.Expire,
		sent: flags&flagSent != 0, nextTried: flags&flagNextTried != 0, restart: flags&flagRestart != 0, reshaped: flags&flagReshaped != 0}
	o.from, o.to, o.id = p.jid(), p.jid(), p.text()
	o.attempts, o.ambiguous = p.count(), p.count()
	o.left = o.ambiguous&rowLeft != 0 || o.ambiguous > 0 || o.sent
	o.ambiguous &^= rowLeft
	o.notBefore = p.time()
	if flags&flagParts != 0 {
		if o.arrived = p.count(); o.arrived == 0 {
			p.fail()
		}
	}
	if flags&flagWants != 0 {
		wants := p.byte()
		o.wants, o.confirmed, o.unsure = mapping.Notice(wants&wantsNotices), wants&wantsConfirmed != 0, wants&wantsUnsure != 0
		o.typ, o.messageID = p.text(), p.text()
		if o.wants == 0 || wants&^(wantsNotices|wantsConfirmed|wantsUnsure) != 0 {
			p.fail()
		}
	}
	if flags&flagProblem != 0 {
		o.problem = p.failure()
	}
	if flags&flagReported != 0 {
		o.reported = p.failure()
		o.lastCall = p.text()
	} else {
		n := p.uint()
		if n == 0 || n > maxParts {
			return nil, fmt.Errorf("%w: %d requests", errRow, n)
		}
		for range n {
			o.parts = append(o.parts, p.message())
		}
	}
	if p.bad || len(p.b) > 0 || o.from.IsZero() || o.to.IsZero() {
		return nil, errRow
	}
	o.sender = o.from.Bare()
	if o.reported == nil {
		o.measure()
	}
	return o, nil
}

func appendText(b []byte, s string) []byte { return append(appendLen(b, len(s)), s...) }

func appendLen(b []byte, n int) []byte {
	if n < 0x80 {
		return append(b, byte(n))
	}
	return binary.AppendUvarint(b, uint64(n))
}

func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return binary.AppendVarint(b, 0)
	}
	return binary.AppendVarint(b, t.UnixMilli())
}

func appendFailure(b []byte, f *mapping.Failure) []byte {
	b = binary.AppendUvarint(b, uint64(f.Status))
	for _, s := range [...]string{f.Reason, string(f.Condition), string(f.Type), f.Text, f.Alternate, f.Warning, f.Remedy} {
		b = appendText(b, s)
	}
	return binary.AppendVarint(b, int64(f.RetryAfter))
}

func appendMessage(b []byte, m *mapping.SIPMessage) []byte {
	b = appendURI(b, &m.RequestURI)
	b = appendURI(b, &m.From)
	b = appendURI(b, &m.To)
	b = appendText(b, m.Name)
	b = appendText(b, m.CallID)
	b = appendText(b, m.FromTag)
	b = appendText(b, m.Subject)
	b = appendText(b, m.Lang)
	b = appendText(b, m.ContentType)
	b = binary.AppendUvarint(b, uint64(len(m.Subjects)))
	for _, t := range m.Subjects {
		b = appendText(b, t.Lang)
		b = appendText(b, t.Value)
	}
	b = appendTime(b, m.Date)
	b = binary.AppendUvarint(b, uint64(m.CSeq))
	b = binary.AppendUvarint(b, uint64(m.Target))
	return append(appendLen(b, len(m.Body)), m.Body...)
}

func appendURI(b []byte, u *mapping.URI) []byte {
	b = appendText(b, u.Scheme)
	b = appendText(b, u.User)
	b = appendText(b, u.Host)
	b = appendText(b, u.GR)
	b = appendText(b, u.Transport)
	b = binary.AppendUvarint(b, uint64(u.Port))
	if u.Phone {
		return append(b, 1)
	}
	return append(b, 0)
}

// rowReader takes values from the front of b; after a failure bad is set and all
// further values are zero.
type rowReader struct {
	b   []byte
	bad bool
}

func (p *rowReader) fail() {
	p.b, p.bad = nil, true
}

func (p *rowReader) uint() uint64 {
	v, n := binary.Uvarint(p.b)
	if n <= 0 {
		p.fail()
		return 0
	}
	p.b = p.b[n:]
	return v
}

func (p *rowReader) byte() (v byte) {
	if len(p.b) == 0 {
		p.fail()
		return 0
	}
	v, p.b = p.b[0], p.b[1:]
	return v
}

// count is an integer that cannot sensibly be big.
func (p *rowReader) count() int {
	v := p.uint()
	if v > 1<<20 {
		p.fail()
		return 0
	}
	return int(v)
}

func (p *rowReader) int() int64 {
	v, n := binary.Varint(p.b)
	if n <= 0 {
		p.fail()
		return 0
	}
	p.b = p.b[n:]
	return v
}

func (p *rowReader) octets() []byte {
	n := p.uint()
	if n > uint64(len(p.b)) {
		p.fail()
		return nil
	}
	v := p.b[:n:n]
	p.b = p.b[n:]
	return v
}

func (p *rowReader) text() string { return string(p.octets()) }

func (p *rowReader) time() time.Time {
	if ms := p.int(); ms != 0 {
		return time.UnixMilli(ms)
	}
	return time.Time{}
}

func (p *rowReader) jid() mapping.JID {
	j, err := mapping.ParseJID(p.text())
	if err != nil {
		p.fail()
	}
	return j
}

func (p *rowReader) failure() *mapping.Failure {
	f := &mapping.Failure{Status: p.count(), Reason: p.text(), Condition: mapping.Condition(p.text()), Type: mapping.ErrorType(p.text()),
		Text: p.text(), Alternate: p.text(), Warning: p.text(), Remedy: p.text()}
	f.RetryAfter = time.Duration(p.int())
	return f
}

func (p *rowReader) message() *mapping.SIPMessage {
	m := &mapping.SIPMessage{RequestURI: p.uri(), From: p.uri(), To: p.uri(),
		Name: p.text(), CallID: p.text(), FromTag: p.text(), Subject: p.text(), Lang: p.text(), ContentType: p.text()}
	for n := p.count(); n > 0 && !p.bad; n-- {
		m.Subjects = append(m.Subjects, mapping.Text{Lang: p.text(), Value: p.text()})
	}
	m.Date = p.time()
	cseq := p.uint()
	if cseq > 1<<31-1 { // RFC 3261 §8.1.1.5
		p.fail()
	}
	m.CSeq, m.Target, m.Body = uint32(cseq), p.count(), p.octets()
	return m
}

func (p *rowReader) uri() mapping.URI {
	u := mapping.URI{Scheme: p.text(), User: p.text(), Host: p.text(), GR: p.text(), Transport: p.text()}
	port := p.uint()
	if port > 1<<16-1 {
		p.fail()
	}
	u.Port = uint16(port)
	if len(p.b) == 0 || p.b[0] > 1 {
		p.fail()
		return u
	}
	u.Phone = p.b[0] == 1
	p.b = p.b[1:]
	return u
}
