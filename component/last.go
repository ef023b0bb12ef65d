package component

import (
	"strconv"
	"time"
)

// nsLast is the namespace of XEP-0012.
const nsLast = "jabber:iq:last"

// addLast serves XEP-0012: of a component it is how long it has been running.
func (s *services) addLast(since time.Time) {
	s.gateway[get(nsLast, "query")] = func(*asked) ([]byte, *stanzaError) {
		b := append([]byte(nil), "<query xmlns='"+nsLast+"'"...)
		b = appendAttr(b, "seconds", strconv.FormatInt(int64(time.Since(since)/time.Second), 10))
		return append(b, "/>"...), nil
	}
}
