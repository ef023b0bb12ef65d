package statuspage

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/stoxgw/stox/internal/history"
)

// one is what /m/KEY shows.
type one struct {
	ID       string // what was asked for, if there is no message
	Messages []told
	Trail    bool // they are from the trail, which has less
	Problem  string
}

// told is a message in full.
type told struct {
	history.Message
	Ladder  ladder
	Stanza  string // as text
	Request string
	Link    string // to this page, also when the message is not remembered any more
	Texts   bool   // texts are shown, as far as they are there
}

// showMessage shows one message. The key is that of the book; where that does not have it any
// more, the trail may have the id.
func (p *Pages) showMessage(rw http.ResponseWriter, r *http.Request) {
	head(rw)
	id := r.URL.Query().Get("id")
	if m, ok := p.source.Book.Get(r.PathValue("key")); ok && (id == "" || id == m.CallID || id == m.ID) {
		p.show(rw, r, "message", frame{Title: "Message", Live: true, Page: one{Messages: []told{p.tell(m)}}})
		return
	}
	page := one{ID: id, Trail: true}
	if id != "" && len(id) <= 1024 {
		events, err := p.source.Trail(r.Context(), id)
		if err != nil {
			page.Problem = err.Error()
		}
		for _, m := range history.Messages(events) {
			page.Messages = append(page.Messages, p.tell(m))
		}
	}
	if len(page.Messages) == 0 {
		rw.WriteHeader(http.StatusNotFound)
	}
	p.show(rw, r, "message", frame{Title: "Message", Page: page})
}

func (p *Pages) tell(m history.Message) told {
	t := told{Message: m, Ladder: drawLadder(&m), Link: link(&m), Texts: p.source.Texts()}
	if !t.Texts {
		t.Body = ""
	}
	t.Stanza, t.Request = stanza(&t), request(&t)
	return t
}

// link is the address of the page of a message. The id in it finds the message in the trail
// when the book has forgotten it.
func link(m *history.Message) string {
	id := m.CallID
	if m.FromSIP || id == "" {
		id = m.ID
	}
	if id == "" {
		return "/m/" + m.Key
	}
	return "/m/" + m.Key + "?id=" + escape(id)
}

// escape is a value in a query.
func escape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.', c == '~':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// stanza and request say what stox has read and sent, as it understood it: the octets of the
// wire are not kept.
func stanza(m *told) string {
	from, to := m.User, m.Contact
	if m.FromSIP {
		from, to = m.Contact, m.User
	}
	return fmt.Sprintf("<message from='%s' to='%s' id='%s'>\n  <body>%s</body>\n</message>", shown(from), shown(to), shown(m.ID), m.text())
}

func request(m *told) string {
	from, to := shown(m.User), shown(m.Peer())
	if m.FromSIP {
		from, to = to, from
	}
	kind := m.Type
	if kind == "" {
		kind = "unknown"
	}
	return fmt.Sprintf("MESSAGE %s SIP/2.0\nFrom: <%s>\nTo: <%s>\nCall-ID: %s\nContent-Type: %s\nContent-Length: %d\n\n%s", to, from, to, shown(m.CallID), shown(kind), m.Size, m.text())
}

// text is that of the message, or why it is not there.
func (m *told) text() string {
	switch {
	case m.Body != "":
		if len(m.Body) < m.Size {
			return lines(m.Body) + " ..."
		}
		return lines(m.Body)
	case m.Texts:
		return "(the text is not there: it was read before texts were shown, or by an earlier run)"
	}
	return "(the text is not shown: see admin.show_bodies)"
}
