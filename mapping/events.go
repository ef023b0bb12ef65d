package mapping

// SIPEvent is what requests about events have in common (RFC 6665, RFC 3903): the
// addresses, and the dialog that they are in or begin.
type SIPEvent struct {
	RequestURI URI
	From, To   URI
	Name       string // display name of From, unquoted; "" if none
	CallID     string
	FromTag    string
	ToTag      string // "": it begins a dialog, or is in none
	CSeq       uint32

	Package string // Event without its parameters, such as "presence"
	EventID string // its parameter id, "" if there is none

	// Contact is where the sender takes the requests of the dialog. From SIP: the remote
	// target. To SIP: ours; the SIP side fills in host, port and transport where Host is "".
	Contact URI
	// RemoteTarget is where the requests of the dialog go, to the letter (RFC 3261 §12.2.1.1):
	// a URI has parameters of its owner's that URI does not keep. From SIP: that of Contact,
	// without headers. To SIP, in a dialog: the Request-URI, which then counts and not
	// RequestURI; "" takes RequestURI.
	RemoteTarget string
	// Routes are the URIs that the requests of the dialog go by (RFC 3261 §12), in the
	// order of the Route headers of those who are told of it: Record-Route as it came in.
	Routes []string
	// Flow is the connection that the request came over from whom Contact names, and that
	// requests to Contact prefer while it is there; 0: over UDP, by way of a proxy, or not
	// known. It means nothing after a restart, and no other connection then has its number.
	Flow uint64

	// From SIP only.

	Written URI      // as in SIPMessage
	Agent   string   // User-Agent, "" if there is none
	Accept  string   // the value of Accept, several rows joined by commas; "" if there is none
	Here    bool     // as in SIPMessage
	Ways    []string // the domains of the routes that lead to who sent it, as Routes of SIPMessage; with Here
	Account URI      // as in SIPMessage
	Peer    string   // who sent it: the same peer has the same text. It is for comparing and never shown
}

// NoExpires is the value of an Expires that is not there.
const NoExpires = -1

// SIPSubscribe is a SUBSCRIBE request (RFC 6665 §4.1, §4.2).
type SIPSubscribe struct {
	SIPEvent
	Expires int // seconds, NoExpires if the request does not say
}

// SIPNotify is a NOTIFY request.
type SIPNotify struct {
	SIPEvent
	State      SubscriptionState
	Reason     string // of a terminated one: "rejected", "timeout" ...; "" if not said
	RetryAfter int    // seconds, 0 if not said
	Expires    int    // seconds, NoExpires if not said

	ContentType string // as in the header; "" if there is no body
	Encoding    string // Content-Encoding, from SIP only
	Lang        string // first tag of Content-Language, "" if absent
	Body        []byte
}

// SubscriptionState is the value of Subscription-State (RFC 6665 §8.2.3), in lower case.
type SubscriptionState string

// The states of a subscription. An unknown one from SIP is kept as it came.
const (
	StatePending    SubscriptionState = "pending"
	StateActiveSub  SubscriptionState = "active"
	StateTerminated SubscriptionState = "terminated"
)

// SIPPublish is a PUBLISH request (RFC 3903). It is in no dialog.
type SIPPublish struct {
	SIPEvent
	// Toward is the domain of the route that it goes by, to SIP only: whose presence it is
	// RequestURI says, which is an address of ours. "" goes where RequestURI leads.
	Toward  string
	IfMatch string // SIP-If-Match, "" if absent
	Expires int    // seconds, NoExpires if not said

	ContentType string // "" if there is no body
	Encoding    string // Content-Encoding, from SIP only
	Lang        string
	Body        []byte
}

// EventAnswer is what an answer to a request about events says besides its status. In an
// answer of ours everything that is not set is left out.
type EventAnswer struct {
	Tag     string // of To: with a SUBSCRIBE that begins a dialog it is our half of that
	Contact URI    // as in SIPEvent
	// RemoteTarget is that of Contact, as in SIPEvent; in an answer of ours it is not looked at.
	RemoteTarget string
	Expires      int    // seconds, NoExpires if not said
	MinExpires   int    // of a 423, seconds; 0 if not said
	ETag         string // SIP-ETag
}

func (*SIPSubscribe) isSIP() {}
func (*SIPNotify) isSIP()    {}
func (*SIPPublish) isSIP()   {}
