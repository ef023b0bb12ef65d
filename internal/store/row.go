package store

import (
	"encoding/binary"
	"errors"
	"time"
)

// A row is (id, one blob): half the cost of a row with a column for each value.
//
//	byte     version, 1
//	varint   Read, Expire: milliseconds since 1970, 0 for none
//	uvarint  length of Lane, then Lane
//	         Data, to the end
const rowVersion = 1

const maxRow = 16 << 20

var errRow = errors.New("row cannot be read")

func appendRow(b []byte, e *Entry) []byte {
	b = append(b, rowVersion)
	b = binary.AppendVarint(b, millis(e.Read))
	b = binary.AppendVarint(b, millis(e.Expire))
	b = appendString(b, e.Lane)
	return append(b, e.Data...)
}

// parseRow reads what appendRow wrote; Data is part of b.
func parseRow(id uint64, b []byte) (Entry, error) {
	if len(b) == 0 || b[0] != rowVersion {
		return Entry{}, errRow
	}
	p := parser{b: b[1:]}
	e := Entry{ID: id, Read: p.time(), Expire: p.time(), Lane: p.string()}
	if p.bad {
		return Entry{}, errRow
	}
	e.Data = p.b
	return e, nil
}

// readRow is parseRow of a row that must not stand in the way of others: what
// cannot be read has its ID and nothing else.
func readRow(id uint64, b []byte) Entry {
	e, err := parseRow(id, b)
	if err != nil {
		return Entry{ID: id}
	}
	return e
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

func appendString(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// parser takes values from the front of b; after a failure bad is set and all
// further values are zero.
type parser struct {
	b   []byte
	bad bool
}

func (p *parser) fail() {
	p.b, p.bad = nil, true
}

func (p *parser) varint() int64 {
	v, n := binary.Varint(p.b)
	if n <= 0 {
		p.fail()
		return 0
	}
	p.b = p.b[n:]
	return v
}

func (p *parser) uvarint() uint64 {
	v, n := binary.Uvarint(p.b)
	if n <= 0 {
		p.fail()
		return 0
	}
	p.b = p.b[n:]
	return v
}

func (p *parser) bytes(n uint64) []byte {
	if n > uint64(len(p.b)) {
		p.fail()
		return nil
	}
	v := p.b[:n:n]
	p.b = p.b[n:]
	return v
}

func (p *parser) time() time.Time { return fromMillis(p.varint()) }

func (p *parser) string() string { return string(p.bytes(p.uvarint())) }
