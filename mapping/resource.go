package mapping

import "time"

// Show is how available somebody is who is there (RFC 6121 §4.7.2.1).
type Show string

// The values of Show.
const (
	ShowOnline Show = "" // nothing is said but that he is there
	ShowAway   Show = "away"
	ShowChat   Show = "chat"
	ShowDND    Show = "dnd"
	ShowXA     Show = "xa"
)

// Known reports whether s is one of the list.
func (s Show) Known() bool {
	switch s {
	case ShowOnline, ShowAway, ShowChat, ShowDND, ShowXA:
		return true
	}
	return false
}

// Resource is what somebody shows of himself at one place: a connected resource of an XMPP
// user, a tuple of the presence document of a SIP user (RFC 3922 §5.2.1).
type Resource struct {
	Name string // the resourcepart, a tuple's id without our prefix; "": the bare JID
	Open bool   // available, basic open
	Show Show
	// Status are the texts beside it, one of a language: XMPP's status, SIP's notes.
	Status      []Text
	Priority    int8 // -128..127; negative ones have no form in SIP
	HasPriority bool
	Idle        time.Time // since when its user has done nothing there (XEP-0319, RPID user-input); zero: not said
	Since       time.Time // when this was said (the tuple's timestamp, XEP-0203); zero: not said
}
