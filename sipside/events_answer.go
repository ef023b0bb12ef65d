package sipside

import (
	"strconv"
	"strings"

	"github.com/stoxgw/stox/mapping"
)

// reply is the response to a request that was handed over.
func (tx *serverTx) reply(o *mapping.Outcome, accept int) reply {
	if tx.event == "" {
		return replyTo(o.Final(accept))
	}
	return replyToEvent(tx, o)
}

// replyToEvent is the response to a request about events: besides what all have, what the
// EventAnswer says, and what would be accepted instead.
func replyToEvent(tx *serverTx, o *mapping.Outcome) reply {
	status, f := finalOfEvent(o)
	a := o.Event
	if a == nil {
		a = &mapping.EventAnswer{Expires: mapping.NoExpires}
	}
	var b strings.Builder
	switch {
	case status < 300:
		if a.Expires >= 0 {
			b.WriteString("Expires: " + strconv.Itoa(a.Expires) + "\r\n")
		}
		if !a.Contact.IsZero() {
			if c := tx.echo.path.out.contact(a.Contact); headerSafe(c) {
				b.WriteString("Contact: " + c + "\r\n")
			}
		}
		if smallToken(a.ETag) {
			b.WriteString("SIP-ETag: " + a.ETag + "\r\n")
		}
		if tx.event == methodSubscribe {
			b.WriteString(allowEventsLine)
		}
	case status == 406:
		b.WriteString("Accept: " + mapping.TypePIDF + "\r\n")
	case status == 415 && f.AcceptEncoding == "":
		of := *f
		of.Accept, f = mapping.TypePIDF, &of
	case status == 423 && a.MinExpires > 0:
		b.WriteString("Min-Expires: " + strconv.Itoa(a.MinExpires) + "\r\n")
	case status == 489:
		b.WriteString(allowEventsLine)
	}
	r := replyTo(status, f, b.String())
	if f == nil {
		r.extra = b.String()
	}
	if tx.echo.tagged && smallToken(a.Tag) {
		r.tag = a.Tag
	}
	return r
}

// finalOfEvent is Outcome.Final for a request about events. Such a one is answered by its
// status, and never with 202 (RFC 6665 §8.3.1).
func finalOfEvent(o *mapping.Outcome) (status int, f *mapping.Failure) {
	switch {
	case o.Kind != mapping.Answered:
		status, f = o.Final(200)
	case o.Failure != nil:
		status, f = mapping.Outcome{Kind: mapping.Refused, Failure: o.Failure}.Final(200)
	case o.Status/100 == 2:
		status = o.Status
	default:
		status, f = mapping.Outcome{Kind: mapping.Refused}.Final(200)
	}
	if status == 202 {
		status = 200
	}
	return status, f
}

// readEventAnswer reads what a final response to a request about events says besides its
// status. What cannot be read is not said.
func readEventAnswer(status int, f *fields) *mapping.EventAnswer {
	a := &mapping.EventAnswer{Expires: mapping.NoExpires}
	if to, ok := parseNameAddr(f.to); ok && smallToken(to.tag) {
		a.Tag = to.tag
	}
	if u, literal, fault := readTarget(f.contacts); fault == nil && status < 300 {
		a.Contact, a.RemoteTarget = u, literal
	}
	if s, ok := parseDelta(f.expires); ok {
		a.Expires = s
	}
	a.MinExpires, _ = parseDelta(f.minExpires)
	if f.event != nil && len(f.event.etag) == 1 {
		if tag := strings.TrimSpace(f.event.etag[0]); smallToken(tag) {
			a.ETag = strings.Clone(tag) // kept for long: without the message around it
		}
	}
	return a
}
