package mapping

import "time"

// XMPP is a value that the XMPP side of the bridge speaks. A new kind of
// traffic is a new struct here and a case in component/wire.go.
type XMPP interface{ isXMPP() }

// SIP is a value that the SIP side of the bridge speaks. A new kind of traffic
// is a new struct here and a case in sipside/wire.go.
type SIP interface{ isSIP() }

// Text is a piece of text with the language it is in: a BCP 47 tag, or "" for
// the language of the stanza around it.
type Text struct {
	Lang  string
	Value string
}

// XMPPMessage is a message stanza that carries text (RFC 6121 §5). Values are
// plain data: they may be written to a journal and read back.
type XMPPMessage struct {
	From, To JID
	ID       string // the stanza's id; "" if its sender gave none
	Type     string // "", "normal", "chat", "headline"; never "error" or "groupchat"
	Lang     string // xml:lang of the stanza, "" if absent
	Subjects []Text // direct children only, in document order
	Bodies   []Text // direct children only, in document order
	Thread   string
	Delay    time.Time // when it was written, if that was a while ago (XEP-0203); zero if nothing is said

	// What its sender wants to be told: that it has arrived (XEP-0184), that it was read
	// (XEP-0333).
	WantReceipt, Markable bool

	// From XMPP only.

	URLs      []string // links beside the text (XEP-0066), in document order
	Encrypted bool     // the text is a ciphertext, or stands for one (XEP-0380)
	Device    bool     // the resource of To is known to have come from a GRUU (ADDR-19)

	// To XMPP only.

	Markup []Node // the text as XHTML-IM, what is in its body element (XEP-0071); nil if none
	Nick   string // what the sender calls itself (XEP-0172), "" if not said

	// Asks is what the sender wants to be notified of in SIP; nil if nothing.
	Asks *IMDNRequest
}

// Node is a piece of XHTML-IM: an element if it has a Name, otherwise a text. Only
// names, attributes and values of the whitelist of XEP-0071 §7 are ever in one; texts
// and values are not escaped.
type Node struct {
	Name  string
	Attrs []Attr
	Nodes []Node // what is in the element
	Text  string
}

// Attr is an attribute of a Node.
type Attr struct{ Name, Value string }

// XMPPReceipt is a message stanza that says of another message that it has arrived
// (XEP-0184), or that it was read (XEP-0333).
type XMPPReceipt struct {
	From, To JID
	ID       string // of this stanza
	Type     string // as in XMPPMessage
	About    string // the id of the other one
	Read     bool
}

// XMPPState is a message stanza that has nothing but a chat state (XEP-0085).
type XMPPState struct {
	From, To JID
	ID       string
	State    ChatState

	Device bool          // from XMPP: as in XMPPMessage
	Lasts  time.Duration // to XMPP: how long somebody is composing who is not heard of any more
}

// ChatState is the closed list of XEP-0085.
type ChatState string

// The chat states.
const (
	StateActive    ChatState = "active"
	StateComposing ChatState = "composing"
	StatePaused    ChatState = "paused"
	StateInactive  ChatState = "inactive"
	StateGone      ChatState = "gone"
)

// Known reports whether s is one of the list.
func (s ChatState) Known() bool {
	switch s {
	case StateActive, StateComposing, StatePaused, StateInactive, StateGone:
		return true
	}
	return false
}

// XMPPPresence is a presence stanza (RFC 6121 §3, §4).
type XMPPPresence struct {
	From, To JID
	ID       string
	Type     PresenceType
	Nick     string   // of a Subscribe to XMPP: what From calls itself (XEP-0172), "" if not said
	Failure  *Failure // of a PresenceError, which is only ever written

	// Of an Available or Unavailable one.

	Lang string // xml:lang of the stanza, "" if absent
	// Shows is what is said besides that From is there or gone; its Name and Open are not
	// looked at. nil: nothing.
	Shows *Resource
}

// PresenceType is the type attribute of a presence stanza.
type PresenceType string

// The types of presence (RFC 6121 §4.7.1).
const (
	Available     PresenceType = ""
	Unavailable   PresenceType = "unavailable"
	Subscribe     PresenceType = "subscribe"
	Subscribed    PresenceType = "subscribed"
	Unsubscribe   PresenceType = "unsubscribe"
	Unsubscribed  PresenceType = "unsubscribed"
	Probe         PresenceType = "probe"
	PresenceError PresenceType = "error"
)

// Known reports whether t is one of the list.
func (t PresenceType) Known() bool {
	switch t {
	case Available, Unavailable, Subscribe, Subscribed, Unsubscribe, Unsubscribed, Probe, PresenceError:
		return true
	}
	return false
}

// XMPPIntroduction makes a contact known to a user who has heard from it for the first
// time: in his roster where the server lets us write there (XEP-0356), else by a
// subscription request. It is only ever written.
type XMPPIntroduction struct {
	From, To JID    // the contact and the user, both bare
	Nick     string // what the contact calls itself, "" if not said
}

// XMPPReady says that the link of a component name has come up: until then the server had
// its users believe that it is away. It is only ever read.
type XMPPReady struct{ Name JID }

// XMPPError is a message stanza of type error: the answer to a message that
// did not reach its destination (RFC 6120 §8.3).
type XMPPError struct {
	From, To JID    // From is the address that had been written to
	ID       string // the id of the stanza that failed
	Lang     string // of what Failure says, "" for English
	Failure  *Failure
}

// SIPMessage is a MESSAGE request in page mode (RFC 3428).
type SIPMessage struct {
	RequestURI URI
	From, To   URI
	Name       string // display name of From, unquoted; "" if none
	CallID     string // ToSIP: "" asks the bridge for a fresh one
	FromTag    string // ToSIP: "" asks the bridge for a fresh one
	CSeq       uint32 // ToSIP: 0 asks the bridge for the next one
	Target     int    // ToSIP: 0; which of the targets of the next hop it goes to (RFC 3263), counted round
	Subject    string // one line, no control characters
	Lang       string // first tag of Content-Language, "" if absent

	Date time.Time // when it was written, in whole seconds; zero if nothing is said

	ContentType string // as in the header, with its parameters; "" if there is none
	Body        []byte // as on the wire

	// From SIP only. The headers that describe the body are as they came, "" if there is none.

	Written     *URI          // what From says, if From is not that but who is asserted to have sent it (RFC 3325); else nil
	Agent       string        // User-Agent, "" if there is none
	Encoding    string        // Content-Encoding, several rows joined by commas
	Disposition string        // Content-Disposition
	Received    time.Time     // when it was read: what Date and Expires are compared with; zero compares nothing
	Expires     time.Duration // how long it is of use, from Date or else from Received on; 0 says nothing
	Here        bool          // the Request-URI names a socket of ours; looked at where its domain is not served
	Routes      []string      // the domains of the routes that lead to who sent it; with Here
	Account     *URI          // the address of the user's account to whose contact it was sent, by its registrar; else nil

	// To SIP only.

	// Subjects are all subjects with their languages, if there is more to be said than
	// the header can: there are several, or the language is not that of the text. A
	// message/cpim can say it.
	Subjects []Text
}

// SIPQuery is an OPTIONS request (RFC 3261 §11), which asks what the user agent at an
// address understands. It is only ever sent; its Outcome has the answer in Accept.
type SIPQuery struct {
	RequestURI URI
	From, To   URI
	CallID     string
	FromTag    string
	CSeq       uint32
}

func (*SIPQuery) isSIP()     {}
func (*XMPPMessage) isXMPP() {}
func (*XMPPError) isXMPP()   {}
func (*XMPPReceipt) isXMPP() {}
func (*XMPPState) isXMPP()   {}

func (*XMPPPresence) isXMPP()     {}
func (*XMPPIntroduction) isXMPP() {}
func (*XMPPReady) isXMPP()        {}

func (*SIPMessage) isSIP() {}
