package texts

var english = Texts{
	Lang: "en", Name: "English", Names: []string{"english", "englisch"},

	Help: Help{
		Intro:     "This is the gateway to SIP. Write to one of its addresses, or add it to your contacts:",
		IsAddress: "is %s",
		IsNumber:  "is the telephone number %s",
		IsOther:   "is %s, and so on for all other SIP addresses",
		Commands:  "You can also write a command to me: %s. What each of them does, \"%s\" says.",
		These:     "You can write these to me:",
		Forms:     "Clients that know of commands show the same as forms.",
		Again:     "To read this again, write \"help\" to %s.",
		Notice:    "Not delivered: %s, sent %s",
		NoticeAt:  "15:04",

		PromptDesc: "Enter the SIP address or phone number.",
		Prompt:     "SIP address",

		Nick: "SIP gateway",
	},

	Commands: map[string]Command{
		"account":  {"My SIP account", []string{"account"}, "[set ADDRESS PASSWORD | remove]", "your own SIP account, and how it is with it"},
		"messages": {"My last messages", []string{"messages"}, "", "your last messages, and what became of them"},
		"lookup":   {"Look up an address", []string{"lookup"}, "ADDRESS", "what an address or a number is on the other side"},
		"language": {"Language", []string{"language"}, "[LANGUAGE]", "the language that I speak with you"},
		"block":    {"Block a contact", []string{"block"}, "ADDRESS", "a contact that shall not reach you any more"},
		"unblock":  {"Unblock a contact", []string{"unblock"}, "ADDRESS", "a contact that may reach you again"},
		"blocked":  {"Blocked contacts", []string{"blocked"}, "", "whom you have blocked"},
		"help":     {"Help", []string{"help"}, "", "how the gateway is used"},
		"commands": {"Commands", []string{"commands"}, "", "what each of these does"},

		"status":   {"Gateway: status", []string{"status"}, "", "links, queue, version"},
		"routes":   {"Gateway: routes and registrations", []string{"routes"}, "", "where requests go, and whether somebody answers there"},
		"queue":    {"Gateway: messages that wait", []string{"queue"}, "", "what is not done yet"},
		"usage":    {"Gateway: messages to telephones today", []string{"usage"}, "", "who has sent how many"},
		"accounts": {"Gateway: SIP accounts of users", []string{"accounts"}, "", "who has which, and how it is with it"},
		"reload":   {"Gateway: read the configuration again", []string{"reload"}, "", "reads the configuration again"},
		"loglevel": {"Gateway: log level", []string{"loglevel"}, "[debug | info | warn | error]", "how much is logged, until the next reload or start"},
		"ban":      {"Gateway: block for all", []string{"ban"}, "ADDRESS", "a user, an address, a SIP domain or a network that is blocked for all"},
		"unban":    {"Gateway: unblock for all", []string{"unban"}, "ADDRESS", "takes that back"},
		"banned":   {"Gateway: blocked for all", []string{"banned"}, "", "who is blocked for all"},

		"http://jabber.org/protocol/admin#get-registered-users-num":  {Title: "Get Number of Registered Users"},
		"http://jabber.org/protocol/admin#get-registered-users-list": {Title: "Get List of Registered Users"},
		"http://jabber.org/protocol/admin#delete-user":               {Title: "Delete User's Registration"},
		"http://jabber.org/protocol/admin#edit-blacklist":            {Title: "Edit Blacklist"},
	},

	Words: Words{Set: []string{"set"}, Remove: []string{"remove"}, Yes: []string{"yes"}, Automatic: []string{"automatic", "auto"}},

	Labels: Labels{
		Address: "SIP address", Username: "User name", Password: "Password", Registrar: "Registrar", Display: "Display name",
		State: "State", Reason: "Reason", Since: "Since", Until: "Until", Server: "Server",
		User: "User", Time: "Time", Contact: "Contact", Outcome: "Outcome", Direction: "Direction",
		JID: "XMPP address", SIP: "SIP address", Why: "Why", Version: "Version", Uptime: "Running for", Link: "Link",
		Queue: "Messages that wait", Accounts: "SIP accounts", Domain: "Domain", Via: "Next hop", Registration: "Registration",
		Answers: "Answers", RoundTrip: "Round trip", ID: "Number", From: "From", To: "To", Attempts: "Attempts",
		Next: "Next attempt", Sent: "Sent", Limit: "Limit", Day: "Day", Level: "Level", Changed: "Changed",
		Waiting: "At the next start", Faults: "Faults", Entry: "Entry", Count: "Number of users", Language: "Language",

		None: "none", Unlimited: "none", All: "all",

		Layout: "2006-01-02 15:04:05",
		Days:   "%d d %d h %d min",
		Hours:  "%d h %d min",

		States: map[string]string{
			"": "trying", "trying": "trying", "registered": "registered", "lost": "lost", "refused": "refused", "ending": "being taken back", "asleep": "asleep",
			"up": "up", "connecting": "connecting", "down": "down", "split": "another program is connected under the same name", "idle": "idle", "stopped": "stopped",
			"alive": "yes", "dead": "no", "unknown": "not known",
			"queued": "waiting", "sent": "sent, no answer yet", "back-off": "waiting for the next attempt", "reporting": "given up, the sender is being told", "damaged": "cannot be read",
			"delivered": "delivered", "accepted": "taken over by the other side", "read": "read", "failed": "not delivered", "uncertain": "perhaps delivered",
			"unconfirmed": "sent, not confirmed", "open": "under way",
		},
	},

	Account: Account{
		Title: "Your SIP account",
		None:  "You have no SIP account of your own at this gateway.",
		Ask:   "Enter the SIP account that this gateway shall use for you. It is checked at once; your telephone goes on working beside it.",

		AddressHint:   "as in romeo@example.net",
		UsernameHint:  "only if it is not the part of the address before the @",
		RegistrarHint: "only if your provider has named one",
		DisplayHint:   "how others are shown you; may be empty",

		Choose: "Change or remove it?", Keep: "Leave it as it is", Change: "Change it", Remove: "Remove it",
		Kept:     "Nothing was changed.",
		Stored:   "%s is your SIP account now.",
		Archived: "Your password was in a chat message, which servers and clients may keep in an archive. The form of the command \"account\" is safer. Delete that message, if you can.",

		RemoveAsk:     "Do you want to remove your SIP account %s? The gateway then takes back its registration and forgets the password.",
		RemoveConfirm: "Remove it",
		Removed:       "Your SIP account was removed.",
		RemoveChat:    "To remove your SIP account, write \"%s\".",
		SetArguments:  "ADDRESS PASSWORD",
		SetUsage:      "To set it, write \"%s\". Your message may be kept in an archive; the form of this command is safer.",
	},

	Messages: Messages{Title: "Your last messages", None: "There are no messages of yours since I keep them in mind.", Out: "to", In: "from"},
	Lookup:   Lookup{Title: "Addresses", Ask: "Enter a SIP address, a telephone number, or the XMPP address of a contact.", Hint: "as in romeo@example.net or +1 202 555 0123", None: "There is no such address."},
	Language: Language{Title: "Language", Ask: "Which language shall I speak with you?", Automatic: "The one of my client", Done: "I speak English with you.", Unknown: "I do not know that language. I know: %s."},

	Blocks: Blocks{
		Title: "Contacts that you have blocked", None: "You have blocked nobody.", Ask: "Who shall not reach you any more?", Hint: "a contact, a SIP address or a number",
		UnblockAsk: "Who may reach you again?", Done: "%s is blocked.", Undone: "%s may reach you again.",
		NoneForAll: "Nobody is blocked for all.", UndoneForAll: "%s is not blocked any more.",
		AdminAsk:  "What is blocked for all: a user, a SIP address, a SIP domain or the address of a network, one a line.",
		AdminHint: "as in user@example.com, sip:someone@example.net, @example.net or 192.0.2.0/24",
		AdminDone: "Blocked: %d. Unblocked: %d.", TooMany: "There are too many entries for a form. Use the command line: stox block.",
	},

	Admin: Admin{
		NoRoutes: "There is no route with a next hop.", QueueEmpty: "No message waits.", QueueMore: "and %d more",
		UsageNone: "Nobody has sent a message to a telephone today.", AccountsNone: "No user has a SIP account.", AccountsMore: "and %d more",
		Reloaded: "The configuration is another one from now on.", NothingChanged: "The configuration was read again. Nothing has changed that takes effect now.",
		NotReloaded: "The configuration stays as it was, since the new one has faults.",
		LevelAsk:    "How much shall be logged, until the next reload or start?", LevelDone: "The log level is %s, until the next reload or start.", LevelUnknown: "There is no log level %s.",
		DeleteAsk: "Whose SIP accounts shall be removed? One XMPP address a line.", Deleted: "SIP accounts that were removed: %d.", NotDeleted: "Not removed: %s",
		MaxItems: "At most so many",
	},

	Register: Register{Title: "SIP account", Instructions: "Enter the SIP account that this gateway shall use for you: its address, as in romeo@example.net, and its password."},

	Session: Session{
		Unknown: "There is no such command.", Forbidden: "This command is for the admins of the gateway.",
		BadSession: "This is not a command of yours that is under way.", Expired: "The command took too long. Begin it anew.",
		BadAction: "This is not possible here.", BadForm: "The form is not complete, or not the one that was asked for.",
		NoBack: "There is no step before this one.", Busy: "Too many commands are under way. Try again in a moment.", TooMany: "You have too many commands under way. Finish one of them, or wait a moment.",
		Stopping: "The gateway is stopping.",
		TooFast:  "You give too many commands. Try again in %d s.",
		Usage:    "Write \"%s\".",
		Failed:   "This did not work. The log of the gateway may say why.",
		Seconds:  "Try again in %d s.",

		NotOffered: "This is not offered here.",
	},

	Problems: map[string]string{
		"bad-address":        "This is not a SIP address. A SIP address is user@domain.",
		"bad-registrar":      "This registrar cannot be used with that address.",
		"bad-name":           "The display name is too long, or has a character that is not possible.",
		"bad-login":          "The user name or the password is too long, or has a character that is not possible.",
		"not-allowed-domain": "SIP accounts of this domain cannot be used here.",
		"not-allowed":        "You may not have a SIP account here.",
		"taken":              "This SIP account belongs to another user of the gateway.",
		"wrong-password":     "The SIP server does not accept this user name and password.",
		"no-answer":          "The SIP server does not answer.",
		"refused":            "The SIP server has refused the registration.",
		"busy":               "Your SIP account cannot be changed now: it is being changed already, or there were too many attempts.",
		"incomplete":         "The address and the password are needed.",
		"unknown":            "There is no such SIP account.",
		"not-kept":           "The SIP account could not be stored. All is as it was.",
		"locked":             "What is stored of this SIP account cannot be read at present.",
		"off":                "SIP accounts of users are not offered here.",
		"full":               "There are too many already.",
		"not-blocked":        "This is not blocked.",
		"admins-only":        "Only an admin may block this.",
		"everybody":          "This would block everybody.",
		"":                   "This did not work. The log of the gateway may say why.",
	},
}
