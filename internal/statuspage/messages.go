package statuspage

import (
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/stoxgw/stox/internal/history"
)

// search is what /messages shows.
type search struct {
	User, Address, ID string
	From, To          string // as in the form
	Outcomes          []option
	Faults            []string // what cannot be understood
	Messages          []brief
	Older             string // the next page; "": there is none
	First             string // the first page; "": this is it
	Since             time.Time
	Known             int
	Any               bool // nothing is looked for
}

const (
	searchPage = 50
	formTime   = "2006-01-02T15:04" // of an input of type datetime-local
)

func (p *Pages) showMessages(rw http.ResponseWriter, r *http.Request) {
	head(rw)
	v := r.URL.Query()
	s := search{User: firstLine(v.Get("user")), Address: firstLine(v.Get("address")), ID: firstLine(v.Get("id")), From: firstLine(v.Get("from")), To: firstLine(v.Get("to"))}
	q := history.Query{User: s.User, Address: s.Address, ID: s.ID, Outcome: v.Get("outcome"), After: v.Get("after"), Limit: searchPage}
	if q.Outcome != "" && !slices.Contains(history.Outcomes(), q.Outcome) {
		s.Faults, q.Outcome = append(s.Faults, "There is no such outcome; all are shown."), ""
	}
	s.Outcomes = outcomes(q.Outcome)
	var ok bool
	if q.From, ok = formDate(s.From); !ok {
		s.Faults, s.From = append(s.Faults, "The time in \"read from\" cannot be understood: write it like 2026-03-01T12:00."), ""
	}
	if q.To, ok = formDate(s.To); !ok {
		s.Faults, s.To = append(s.Faults, "The time in \"read before\" cannot be understood: write it like 2026-03-01T12:00."), ""
	}
	if q.After != "" {
		if _, there := p.source.Book.Get(q.After); !there {
			s.Faults, q.After = append(s.Faults, "The message behind which this page begins is not remembered any more: this is the first page."), ""
		}
	}
	found, more := p.source.Book.Find(q)
	s.Messages = briefs(found)
	s.Since, s.Known = p.source.Book.Since()
	link := url.Values{}
	for name, value := range map[string]string{"user": s.User, "address": s.Address, "id": s.ID, "outcome": q.Outcome, "from": s.From, "to": s.To} {
		if value != "" {
			link.Set(name, value)
		}
	}
	s.Any = len(link) == 0
	if q.After != "" {
		s.First = with("/messages", link.Encode())
	}
	if more {
		link.Set("after", s.Messages[len(s.Messages)-1].Key)
		s.Older = with("/messages", link.Encode())
	}
	p.show(rw, r, "messages", frame{Title: "Messages", Here: "messages", Live: q.After == "", Page: s})
}

// formDate reads a time of a form; the zero one if there is none.
func formDate(s string) (t time.Time, ok bool) {
	if s == "" {
		return t, true
	}
	for _, layout := range []string{formTime, "2006-01-02T15:04:05", "2006-01-02 15:04", "2006-01-02 15:04:05", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, s, time.Local); err == nil {
			return t, true
		}
	}
	return t, false
}
