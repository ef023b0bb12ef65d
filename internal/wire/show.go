package wire

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxShown is how many octets of a packet are logged.
const maxShown = 16 << 10

// Text is a packet as it is logged: in lines that end in a line feed, in which nothing can make a
// terminal do something, or a line look like one of another packet where each has a mark before it.
type Text string

// Lines is the text. A log that is read by people writes it in lines of its own.
func (t Text) Lines() string { return string(t) }

func (r *Room) logSIP(p *packet, seen *sipPacket, ok bool, mode Mode) {
	var b strings.Builder
	switch {
	case !ok:
		fmt.Fprintf(&b, "[%d octets that are not SIP]\n", len(p.data))
	case len(seen.body) == 0:
		writeShown(&b, seen.head)
	case mode == Full:
		writeShown(&b, append(seen.head, maskURIs(string(seen.body))...))
	default:
		writeShown(&b, seen.head)
		fmt.Fprintf(&b, "[%d octets of body]\n", len(seen.body))
	}
	r.write(p, b.String(), slog.String("transport", p.transport), slog.String("peer", p.remote.String()), slog.String("local", p.local.String()))
}

func (r *Room) logStanza(p *packet, s *stanza, mode Mode) {
	var b strings.Builder
	if s.whole {
		writeShown(&b, maskStanza(nil, *s, mode == Full))
	} else {
		fmt.Fprintf(&b, "[%d octets that are no whole stanza]\n", len(s.raw))
	}
	r.write(p, b.String(), slog.String("component", p.component), slog.String("peer", p.remote.String()))
}

func (r *Room) write(p *packet, text string, attrs ...slog.Attr) {
	way := "sent"
	if p.in {
		way = "received"
	}
	rec := slog.NewRecord(p.at, slog.LevelInfo, way, 0)
	rec.AddAttrs(slog.String("side", p.side))
	rec.AddAttrs(attrs...)
	rec.AddAttrs(slog.Any("packet", Text(text)))
	ctx := context.Background()
	if h := r.log.Handler(); h.Enabled(ctx, slog.LevelInfo) {
		_ = h.Handle(ctx, rec) // a log that cannot be written has nobody to tell
		r.logged.Add(1)
	}
}

// writeShown writes text as people can read it: LF ends a line, what cannot be printed is written
// as Go would.
func writeShown(b *strings.Builder, text []byte) {
	rest := 0
	if len(text) > maxShown {
		rest = len(text) - maxShown
		text = text[:maxShown]
	}
	for len(text) > 0 {
		c, n := utf8.DecodeRune(text)
		switch {
		case c == '\r' && len(text) > 1 && text[1] == '\n':
		case c == '\n' || c == '\t' || c != utf8.RuneError && unicode.IsPrint(c):
			b.WriteRune(c)
		case c == utf8.RuneError && n == 1:
			fmt.Fprintf(b, `\x%02x`, text[0])
		default:
			q := strconv.QuoteRuneToASCII(c)
			b.WriteString(q[1 : len(q)-1])
		}
		text = text[n:]
	}
	if s := b.String(); !strings.HasSuffix(s, "\n") {
		b.WriteByte('\n')
	}
	if rest > 0 {
		fmt.Fprintf(b, "[%d octets more]\n", rest)
	}
}
