package bridge

import (
	"bytes"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/stoxgw/stox/mapping"
)

// genTime is a time in milliseconds, as a row keeps it, or none.
func genTime(t *rapid.T) time.Time {
	if ms := rapid.Int64Range(0, 1<<42).Draw(t, "ms"); ms > 0 {
		return time.UnixMilli(ms)
	}
	return time.Time{}
}

func genFailure(t *rapid.T) *mapping.Failure {
	s := rapid.String()
	return &mapping.Failure{Status: rapid.IntRange(0, 699).Draw(t, "status"), Reason: s.Draw(t, "reason"),
		Condition: mapping.Condition(s.Draw(t, "condition")), Type: mapping.ErrorType(s.Draw(t, "type")), Text: s.Draw(t, "text"),
		Alternate: s.Draw(t, "alternate"), Warning: s.Draw(t, "warning"), Remedy: s.Draw(t, "remedy"),
		RetryAfter: time.Duration(rapid.Int64().Draw(t, "retry-after"))}
}

func genURI(t *rapid.T) mapping.URI {
	s := rapid.String()
	return mapping.URI{Scheme: rapid.SampledFrom([]string{"sip", "tel", "im", "pres"}).Draw(t, "scheme"), User: s.Draw(t, "user"), Host: s.Draw(t, "host"),
		Port: rapid.Uint16().Draw(t, "port"), GR: s.Draw(t, "gr"), Phone: rapid.Bool().Draw(t, "phone"), Transport: s.Draw(t, "transport")}
}

func genOutbound(t *rapid.T) *outbound {
	s := rapid.String()
	jid := rapid.SampledFrom([]string{"juliet@example.com/x", "example.com", `o\27hara@example.com`, "a@xn--bcher-kva.example/é 7"})
	o := &outbound{from: mapping.MustParseJID(jid.Draw(t, "from")), to: mapping.MustParseJID(jid.Draw(t, "to")), id: s.Draw(t, "id"),
		row: rapid.Uint64().Draw(t, "row"), read: genTime(t), expire: genTime(t),
		sent: rapid.Bool().Draw(t, "sent"), nextTried: rapid.Bool().Draw(t, "next"), restart: rapid.Bool().Draw(t, "restart"), reshaped: rapid.Bool().Draw(t, "reshaped"),
		attempts: rapid.IntRange(0, 1<<20).Draw(t, "attempts"), ambiguous: rapid.IntRange(0, 3).Draw(t, "ambiguous"), notBefore: genTime(t)}
	o.left = o.sent || o.ambiguous > 0 || rapid.Bool().Draw(t, "left")
	o.sender = o.from.Bare()
	if o.wants = mapping.Notice(rapid.Uint8Max(7).Draw(t, "wants")); o.wants != 0 {
		o.typ, o.messageID = s.Draw(t, "type"), s.Draw(t, "message-id")
		o.confirmed, o.unsure = rapid.Bool().Draw(t, "confirmed"), rapid.Bool().Draw(t, "unsure")
	}
	if rapid.Bool().Draw(t, "problem") {
		o.problem = genFailure(t)
	}
	if rapid.Bool().Draw(t, "reported") {
		o.reported, o.lane = genFailure(t), s.Draw(t, "lane")
		return o
	}
	o.arrived = rapid.IntRange(0, 99).Draw(t, "arrived")
	for range rapid.IntRange(1, 3).Draw(t, "parts") {
		o.parts = append(o.parts, &mapping.SIPMessage{RequestURI: genURI(t), From: genURI(t), To: genURI(t), Name: s.Draw(t, "name"),
			CallID: s.Draw(t, "call-id"), FromTag: s.Draw(t, "tag"), CSeq: rapid.Uint32Max(1<<31-1).Draw(t, "cseq"),
			Target: rapid.IntRange(0, 1<<20).Draw(t, "target"), Subject: s.Draw(t, "subject"), Lang: s.Draw(t, "lang"),
			ContentType: s.Draw(t, "content-type"), Subjects: genTexts(t), Date: genTime(t), Body: append([]byte{}, rapid.SliceOf(rapid.Byte()).Draw(t, "body")...)})
	}
	o.measure()
	return o
}

var sameOutbound = cmp.Options{cmp.AllowUnexported(outbound{}), cmp.Comparer(func(a, b mapping.JID) bool { return a == b })}

// Everything that counts after a restart is in the row.
func TestRowRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := genOutbound(t)
		o.rev, o.kept = 1, 1 // as whatever is read from the disk
		got, err := decode(o.encode())
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(o, got, sameOutbound); d != "" {
			t.Fatal(d)
		}
	})
}

// A row that was cut off, or has something behind it, is not read as another message.
func TestRowCut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := genOutbound(t).encode()
		whole := r.Data
		for n := range whole {
			r.Data = whole[:n]
			if o, err := decode(r); err == nil || o != nil || !errors.Is(err, errRow) {
				t.Fatalf("%d of %d octets are read: %v", n, len(whole), err)
			}
		}
		r.Data = append(whole[:len(whole):len(whole)], rapid.Byte().Draw(t, "more"))
		if _, err := decode(r); !errors.Is(err, errRow) {
			t.Fatalf("a row with an octet too many: %v", err)
		}
	})
}

func TestRowRefused(t *testing.T) {
	b, _ := newBridge(t)
	parts, err := b.policy.Load().Rules.ToSIP(fromXMPP("m", "juliet@example.com/x", "romeo@sip.example.com", "hello"))
	if err != nil {
		t.Fatal(err)
	}
	good := func() *outbound {
		m := *parts[0].(*mapping.SIPMessage)
		o := &outbound{id: "m", from: mapping.MustParseJID("juliet@example.com/x"), to: mapping.MustParseJID("romeo@sip.example.com"), parts: []mapping.SIP{&m}}
		o.measure()
		return o
	}
	if _, err := decode(good().encode()); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(o *outbound, r *Row){
		"nothing":             func(_ *outbound, r *Row) { r.Data = nil },
		"an older version":    func(_ *outbound, r *Row) { r.Data[0] = 0 },
		"a newer version":     func(_ *outbound, r *Row) { r.Data[0] = rowVersion + 1 },
		"a flag and nothing":  func(_ *outbound, r *Row) { r.Data[1] |= 0x80 },
		"a wish nobody knows": func(o *outbound, r *Row) { o.wants = 8; *r = o.encode() },
		"a wish for nothing": func(o *outbound, r *Row) {
			o.wants = 7
			*r = o.encode()
			r.Data = bytes.Replace(r.Data, []byte{7, 0, 0}, []byte{0, 0, 0}, 1)
		},
		"no sender":             func(o *outbound, r *Row) { o.from = mapping.JID{}; *r = o.encode() },
		"no contact":            func(o *outbound, r *Row) { o.to = mapping.JID{}; *r = o.encode() },
		"no requests":           func(o *outbound, r *Row) { o.parts = nil; *r = o.encode() },
		"a CSeq beyond 2^31":    func(o *outbound, r *Row) { o.change().CSeq = 1 << 31; *r = o.encode() },
		"attempts beyond sense": func(o *outbound, r *Row) { o.attempts = math.MaxInt32; *r = o.encode() },
	} {
		o := good()
		r := o.encode()
		change(o, &r)
		if got, err := decode(r); !errors.Is(err, errRow) {
			t.Errorf("%s: %+v, %v; want an error", name, got, err)
		}
	}
}

// FuzzRow: no row makes decode panic, and what it reads is written as it was read.
func FuzzRow(f *testing.F) {
	for seed := range 5 {
		f.Add(rapid.Custom(genOutbound).Example(seed).encode().Data)
	}
	f.Add([]byte{rowVersion, flagReported | flagProblem})
	f.Fuzz(func(t *testing.T, data []byte) {
		r := Row{ID: 1, Rev: 1, Lane: "sip:romeo@pbx.example.net", Data: data}
		o, err := decode(r)
		if err != nil {
			if o != nil || !errors.Is(err, errRow) {
				t.Fatalf("%v, %v", o, err)
			}
			return
		}
		// The first time integers and addresses may get shorter.
		once := o.encode()
		again, err := decode(once)
		if err != nil {
			t.Fatalf("what was read is written as what cannot be read: %v", err)
		}
		if d := cmp.Diff(o, again, sameOutbound); d != "" {
			t.Fatal(d)
		}
		if twice := again.encode(); !bytes.Equal(once.Data, twice.Data) || once.Lane != twice.Lane {
			t.Fatalf("%x\n%x", once.Data, twice.Data)
		}
	})
}

func genTexts(t *rapid.T) (out []mapping.Text) {
	for range rapid.IntRange(0, 3).Draw(t, "texts") {
		out = append(out, mapping.Text{Lang: rapid.String().Draw(t, "lang"), Value: rapid.String().Draw(t, "value")})
	}
	return out
}
