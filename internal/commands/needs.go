package commands

import (
	"context"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// XMPPSide takes what the desk has to say. What becomes of it comes back through Outcome.
type XMPPSide interface {
	Deliver(batch []mapping.Parcel[mapping.XMPP])
}

// Options are what the desk has to work with. What is nil is not offered. All functions and
// methods may be called from any goroutine; those of which nothing else is said return at
// once.
type Options struct {
	Admin    func(user mapping.JID) bool // whether a bare JID may give orders to the gateway (GW-25); nil: nobody
	Rate     func() int                  // commands a second of one user; nil or 0: 5
	Rules    func() *mapping.Rules       // in force
	Accounts Accounts
	Recent   Recent
	Blocks   Blocks
	Operator Operator
	Usage    func(n int) []Use // of the quota for telephones today, those of the most first
	Log      Log
	// Left is told of a user who has no account any more, and of whom that name of the gateway
	// has taken leave. nil: nobody wants to know.
	Left func(user, name mapping.JID)
	Languages
}

// Accounts are users' own SIP accounts.
type Accounts interface {
	Of(user mapping.JID) (Account, bool)
	All() []Account
	// Set checks an account and makes it the user's; Remove ends it. done is called once,
	// later or at once, with nil, a *Problem or another error.
	Set(user mapping.JID, d Details, done func(error))
	Remove(user mapping.JID, done func(error))
}

// Details are what a person has typed of an account.
type Details struct{ Address, Username, Password, Registrar, Name string }

// Account is the SIP account of a user. State is one of the words in texts.Labels.States, or
// another.
type Account struct {
	User                               mapping.JID
	Address, Username, Registrar, Name string
	State, Reason, Server              string
	Status                             int
	Since, Until                       time.Time
}

// Problem is why something with an account or a block was not done. Kind is one of those in
// texts.Problems; it has no words for people.
type Problem struct {
	Kind    string
	Status  int // of the answer of SIP, 0 if there was none
	Seconds int // after which it may be tried again, 0 if nothing is known
}

func (p *Problem) Error() string { return p.Kind }

// Recent are the messages of late.
type Recent interface {
	// OfUser are the last n messages of a user and of nobody else, newest first.
	OfUser(user mapping.JID, n int) []Message
}

// Message is a message and what became of it.
type Message struct {
	At      time.Time
	Sent    bool // by the user; else it is for him
	Contact string
	Outcome string // one of the words in texts.Labels.States, or another
	Reason  string // why it did not arrive
}

// Blocks are contacts that do not reach a user, and, of the zero JID, what an admin has
// blocked for all. An error may be a *Problem. What is blocked is returned in its normal form.
type Blocks interface {
	Block(owner mapping.JID, what string) (string, error)
	Unblock(owner mapping.JID, what string) (string, error)
	List(owner mapping.JID) []string
}

// Operator is what admins see of the daemon and do to it. A method may take its time, but not
// beyond its context.
type Operator interface {
	Status() Status
	Routes(ctx context.Context) ([]Route, error)
	// Queue returns how many messages wait, and the first n of them.
	Queue(ctx context.Context, n int) (total int, first []Waiting, err error)
	Reload(ctx context.Context) (Reloaded, error)
}

// Status is how it is with the daemon.
type Status struct {
	Version string
	Since   time.Time
	Links   []Link
	Queue   int
}

// Link is the connection of a component name to its server.
type Link struct {
	Name, Server, State, Reason string
	Since                       time.Time
}

// Route is a route with a next hop of its own.
type Route struct {
	Domain, Via  string
	Registration string // "": it has none
	Server       string
	Answers      string
	Reason       string // why one of them is not as it should be
	RoundTrip    time.Duration
}

// Waiting is a message that is not done. It has no text.
type Waiting struct {
	ID       uint64
	From, To string
	State    string
	Attempts int
	Next     time.Time
	Problem  string
}

// Use is what a user has used of what he may send to telephones in a day; Limit 0 is none.
type Use struct {
	User        string
	Day         string
	Sent, Limit int
}

// Reloaded is what reading the configuration again has come to.
type Reloaded struct {
	Applied                  bool // false: there are faults, and all is as it was
	Changed, Waiting, Faults []string
}

// Log is how much is logged.
type Log interface {
	Level() string
	Levels() []string
	SetLevel(level string) // one of Levels
}

// Languages keeps which language a user wants to be spoken to in.
type Languages interface {
	// Language is "" if he has not said.
	Language(user mapping.JID) string
	SetLanguage(user mapping.JID, lang string)
}
