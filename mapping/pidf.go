package mapping

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"time"
)

// Presence in both worlds (RFC 8048 §6, RFC 3922 §5): a presence stanza for each connected
// resource in XMPP, one document with a tuple for each in SIP (RFC 3863, PRES-20).

// TypePIDF is the media type of a presence document (RFC 3863 §3).
const TypePIDF = "application/pidf+xml"

// The namespaces of a presence document that are written.
const (
	nsPIDF   = "urn:ietf:params:xml:ns:pidf"
	nsModel  = "urn:ietf:params:xml:ns:pidf:data-model" // RFC 4479
	nsRPID   = "urn:ietf:params:xml:ns:pidf:rpid"       // RFC 4480
	nsClient = "jabber:client"                          // RFC 8048 §6.2 note 7
)

// What is kept of a presence document, and written into one. Whatever is beyond it is left
// out: presence that says less is better than none.
const (
	maxTuples     = 64
	maxStatus     = 1024 // bytes of one text
	maxStatusLang = 16   // texts of one tuple, each in its own language
)

// Resource is what a connected resource shows of itself in XMPP, and a tuple in SIP.
type Resource struct {
	Name string // the resourcepart; "" is the bare JID
	Open bool   // available

	// Of who is not available only Status means anything.

	Show   Show
	Status []Text // one for each language; in legal characters and 1024 bytes at most each

	Priority    int8 // -128 to 127 (RFC 6121 §4.7.2.3)
	HasPriority bool

	Idle  time.Time // since when it has not been used (XEP-0319); zero if nothing is said
	Since time.Time // the timestamp of the tuple; zero if there is none
}

// StatusIn is the text in the language lang, else the first; false if there is none.
func (r *Resource) StatusIn(lang string) (Text, bool) { return choose(r.Status, lang, "") }

// Show is how available somebody is (RFC 6121 §4.7.2.1).
type Show string

// The values of show; ShowNone is simply available.
const (
	ShowNone Show = ""
	ShowAway Show = "away"
	ShowChat Show = "chat"
	ShowDND  Show = "dnd"
	ShowXA   Show = "xa"
)

// ParseShow reads the text of a show element: ShowNone for what is none of the list.
func ParseShow(s string) Show {
	switch show := Show(lower(strings.TrimSpace(s))); show {
	case ShowAway, ShowChat, ShowDND, ShowXA:
		return show
	}
	return ShowNone
}

// bareID is the id of the tuple that stands for a bare JID.
const bareID = "IDbare"

// tupleRaw is what the id of a tuple may have after its first letter: not all that an xs:ID
// may, but all that nobody trips over.
var tupleRaw = newCharset(alphanum + "._-")

// TupleID is the id of the tuple of a resource (PRES-17). It is an xs:ID and never that of
// another resource; of one with other characters than letters, digits, "." "_" and "-" it is
// a hash, which does not say the name again.
func TupleID(resource string) string {
	switch {
	case resource == "":
		return bareID
	case tupleRaw.all(resource):
		return "ID-" + resource
	}
	return hashID(resource)
}

func hashID(s string) string {
	sum := sha256.Sum256([]byte(s))
	return fmt.Sprintf("IDx-%x", sum[:16])
}

// tupleResource is the resource that a tuple stands for by its id: always one that a JID can
// have, and the same for the same id. A tuple without an id is the bare JID.
func tupleResource(id string) string {
	id = strings.TrimSpace(id)
	if id == bareID || id == "" {
		return ""
	}
	name := id
	if rest, ours := strings.CutPrefix(id, "ID-"); ours && rest != "" {
		name = rest
	}
	if r, f := resourcePart(name); f == nil {
		return r
	}
	return hashID(id)
}

// statusText makes a text fit for a status and for a note: without spaces around it, for
// those are of how a document was laid out.
func statusText(s string) string {
	return strings.TrimSpace(cut(strings.TrimSpace(XMLText(fromCRLF([]byte(s)))), maxStatus))
}

// addText adds a status to texts, unless it is empty or there is one in its language.
func addText(texts []Text, t Text) []Text {
	t = Text{Lang: LanguageTag(t.Lang), Value: statusText(t.Value)}
	if t.Value == "" || len(texts) == maxStatusLang || hasLang(texts, t.Lang) {
		return texts
	}
	return append(texts, t)
}

// The timestamps of a document are those of RFC 3339.
const stampLayout = "2006-01-02T15:04:05Z"

// stampLayouts are the forms in which they come: some clients leave out the time zone, and
// mean UTC then, or its colon.
var stampLayouts = [...]string{time.RFC3339, "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05"}

// readStamp reads a timestamp, in whole seconds. It is zero for what is none, and for what a
// clock says that was never set.
func readStamp(s string) time.Time {
	if s = strings.ToUpper(strings.TrimSpace(s)); len(s) > 64 {
		return time.Time{}
	}
	s = strings.Replace(s, " ", "T", 1)
	for _, layout := range stampLayouts {
		if t, err := time.Parse(layout, s); err == nil {
			return stamp(t)
		}
	}
	return time.Time{}
}

// stamp is t as a document can say it: zero if it cannot, or means nothing.
func stamp(t time.Time) time.Time {
	t = t.UTC().Truncate(time.Second)
	if t.Before(sipBorn) || t.Year() > 9999 {
		return time.Time{}
	}
	return t
}
