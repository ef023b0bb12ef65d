package mapping

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
}

// XMPPError is a message stanza of type error: the answer to a message that
// did not reach its destination (RFC 6120 §8.3).
type XMPPError struct {
	From, To JID    // From is the address that had been written to
	ID       string // the id of the stanza that failed
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

	// ContentType is the media type in lower case without parameters and
	// Charset its charset parameter in lower case ("" = UTF-8).
	ContentType string
	Charset     string
	Body        []byte // octets as on the wire
}

func (*XMPPMessage) isXMPP() {}
func (*XMPPError) isXMPP()   {}
func (*SIPMessage) isSIP()   {}
