package texts

// Texts are all texts in one language.
type Texts struct {
	Lang  string   // BCP 47
	Name  string   // of the language, in itself
	Names []string // by which people may call it

	Help     Help
	Commands map[string]Command // by the node of the command; the same in all languages
	Words    Words
	Labels   Labels
	Account  Account
	Messages Messages
	Lookup   Lookup
	Language Language
	Blocks   Blocks
	Admin    Admin
	Register Register
	Session  Session
	Problems map[string]string // by the kind of the problem with an account or a block
}

// Help is what the gateway says of itself.
type Help struct {
	Intro     string
	IsAddress string // a URI
	IsNumber  string // a telephone number as people write it
	IsOther   string // a URI: an example for all domains
	Commands  string // words of commands, and the one that tells more of them
	These     string // above a line about each command
	Forms     string
	Again     string // the name of the gateway
	Notice    string // why a message was not delivered, and the time at which it was sent
	NoticeAt  string // layout of that time

	PromptDesc, Prompt string // what a client asks for who looks for an address

	Nick string // what the gateway calls itself
}

// Command is a command as people see it.
type Command struct {
	Title string   // in a list
	Words []string // by which it is called in a chat, the first of which is shown
	Usage string   // the arguments behind it, "" if there are none
	About string   // what it does, in a few words
}

// Words are those behind a command in a chat: the first of each is shown.
type Words struct {
	Set, Remove, Yes, Automatic []string
}

// Labels are short names of what is shown, and of what has a closed list of values.
type Labels struct {
	Address, Username, Password, Registrar, Display string
	State, Reason, Since, Until, Server             string
	User, Time, Contact, Outcome, Direction         string
	JID, SIP, Why, Version, Uptime, Link            string
	Queue, Accounts, Domain, Via, Registration      string
	Answers, RoundTrip, ID, From, To, Attempts      string
	Next, Sent, Limit, Day, Level, Changed          string
	Waiting, Faults, Entry, Count, Language         string

	None, Unlimited, All string

	Layout string // of a time
	Days   string // days, hours, minutes
	Hours  string // hours, minutes

	// States are those of links, registrations, routes, queued messages and outcomes. What is
	// not here is shown as it is.
	States map[string]string
}

// Account is about the user's own SIP account.
type Account struct {
	Title, None                       string
	Ask                               string // above the form
	AddressHint, UsernameHint         string
	RegistrarHint, DisplayHint        string
	Choose, Keep, Change, Remove      string
	Kept                              string
	Stored                            string // the address: registered
	Archived                          string // a password was given in a chat
	RemoveAsk, RemoveConfirm, Removed string // RemoveAsk: the address
	RemoveChat                        string // what to write to remove it
	SetArguments                      string // what stands behind the words that set it
	SetUsage                          string // how it is set by chat
}

// Messages is about the last messages of the user.
type Messages struct{ Title, None, Out, In string }

// Lookup is about looking up an address.
type Lookup struct{ Title, Ask, Hint, None string }

// Language is about the language of these texts.
type Language struct{ Title, Ask, Automatic, Done, Unknown string }

// Blocks is about blocking.
type Blocks struct {
	Title, None, Ask, Hint, UnblockAsk string
	Done, Undone                       string // an address
	NoneForAll, UndoneForAll           string // for admins. UndoneForAll: an address
	AdminAsk, AdminHint, AdminDone     string // AdminDone: how many were added, how many removed
	TooMany                            string
}

// Admin is what only admins see.
type Admin struct {
	NoRoutes, QueueEmpty, QueueMore       string // QueueMore: how many more
	UsageNone, AccountsNone, AccountsMore string // AccountsMore: how many more
	Reloaded, NothingChanged, NotReloaded string
	LevelAsk, LevelDone, LevelUnknown     string // LevelDone, LevelUnknown: a level
	DeleteAsk, Deleted, NotDeleted        string // Deleted: how many. NotDeleted: whom
	MaxItems                              string
}

// Register is about registration (XEP-0077).
type Register struct{ Title, Instructions string }

// Session is what is wrong with a command.
type Session struct {
	Unknown, Forbidden                      string
	BadSession, Expired, BadAction, BadForm string
	NoBack, Busy, TooMany, Stopping         string
	TooFast                                 string // seconds
	Usage                                   string // of a command by chat
	Failed                                  string
	Seconds                                 string // seconds
	NotOffered                              string
}
