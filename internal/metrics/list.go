package metrics

// The list. docs/metrics.md is made from it.

// Words of labels that several metrics have.
const (
	ToSIP  = "xmpp-sip"
	ToXMPP = "sip-xmpp"

	direction = "`direction` is `xmpp-sip` or `sip-xmpp`"
	component = "`component` is the component name (`xmpp.domain`, `domain.xmpp`)"
	route     = "`route` counts from 0 as in `sip.route[0]`, `domain` is that of the route"
	method    = "`method` is one of `MESSAGE`, `OPTIONS`, `REGISTER`, `CANCEL`, `INVITE`, `SUBSCRIBE`, `NOTIFY`, `PUBLISH`, `other`"
)

// The daemon itself.
var (
	daemon = section("The daemon")

	BuildInfo = daemon.gauge("build_info", "Which stox it is; always 1", "", "version", "goversion")
	CheckOK   = daemon.gauge("check_ok", "Whether a check of /readyz finds all well", "`check` is `process`, `link`, `journal` or `routes`; `stop` only while the daemon is being stopped, and then 0", "check")
	Denied    = daemon.counter("admin_requests_denied", "Requests to admin.listen without the token, or by a strange host name", "")
)

// The links to XMPP servers.
var (
	xmpp = section("Links to XMPP servers")

	LinkUp        = xmpp.gauge("xmpp_link_up", "Whether the link takes messages", component, "component")
	LinkState     = xmpp.gauge("xmpp_link_state", "1 for the state that the link is in", component+", `state` one of `idle`, `connecting`, `up`, `down`, `split`, `stopped`", "component", "state")
	LinkSince     = xmpp.gauge("xmpp_link_state_since_timestamp_seconds", "When the link has come into that state", component, "component")
	LinkConnects  = xmpp.counter("xmpp_link_connects", "Links that came up; all but the first are reconnects", component, "component")
	LinkFailures  = xmpp.counter("xmpp_link_failures", "Links that broke or did not come up; a reason is there from its first failure on", component+", `reason` as in the log, or `other`", "component", "reason")
	Barriers      = xmpp.counter("xmpp_barriers", "Barriers written: pings behind messages, which come back when those have been processed", component, "component")
	BarrierTrip   = xmpp.histogram("xmpp_barrier_round_trip_seconds", "How long barriers to our own domain took to come back", component, "component")
	Pending       = xmpp.gauge("xmpp_stanzas_pending", "Stanzas that are written, or about to be, and not confirmed", component, "component")
	Unwritten     = xmpp.gauge("xmpp_unwritten_bytes", "Bytes that wait for the server to read them", component, "component")
	LinkUncertain = xmpp.counter("xmpp_uncertain_stanzas", "Stanzas that were unconfirmed when a link was lost", component, "component")
	LinkRewritten = xmpp.counter("xmpp_rewritten_stanzas", "Of these, written once more", component, "component")
	LateBounces   = xmpp.counter("xmpp_late_bounces", "Error stanzas that answer nothing that is pending: late, or forged", component, "component")
	Suspended     = xmpp.gauge("xmpp_suspended_domains", "User domains that do not answer pings and are not waited for", component, "component")
)

// Messages.
var (
	messages = section("Messages")

	Messages    = messages.counter("messages", "Messages that have come to an end, each counted once, without repeats", direction+", `outcome` is `delivered`, `failed` (its sender was told so), `refused` (not taken, and its sender was told so), `unknown` (from SIP, answered 202) or `uncertain` (it may have arrived twice, or once although SIP was told that it failed)", "direction", "outcome")
	Failures    = messages.counter("message_failures", "Of the messages that failed or were refused: why", direction+", `reason` is the condition of the stanza error (RFC 6120 §8.3.3), as in the log", "direction", "reason")
	Delivery    = messages.histogram("message_delivery_seconds", "How long delivered messages took: from being read to the answer of SIP, or of the XMPP server", direction, "direction")
	Early       = messages.counter("messages_early", "Messages to SIP that left before they were on the disk, because their destination was idle", "")
	Retries     = messages.counter("message_retries", "Requests that failed and are tried again", "")
	RateLimited = messages.counter("messages_rate_limited", "Messages beyond limits.user_rate", "")
	Unwanted    = messages.counter("messages_denied", "Messages that were not taken because somebody does not want them to be sent", direction+", `kind` is `prefix` (limits.prefixes), `daily` (limits.daily_per_user) or `block`", "direction", "kind")
	Blocked     = messages.gauge("blocked", "Addresses that are blocked", "`kind` is `admin` or `user`: who has blocked them", "kind")
	SignalsLost = messages.counter("signals_dropped", "Receipts and chat states from XMPP of which there were too many of one user", "")
	Repeats     = messages.counter("sip_request_repeats", "SIP requests that came again", "`of` is `pending` or `finished`: the state of the first one", "of")
	LateErrors  = messages.counter("late_errors", "Errors from XMPP that came after SIP had been told that the message arrived", "")
	LateTold    = messages.counter("late_errors_told", "Of these, told to the sender", "")
	Receipts    = messages.counter("receipts", "Receipts and delivery notifications that were carried over", direction+", `kind` is `delivered`, `displayed` or `failed`", "direction", "kind")
	Typing      = messages.counter("typing", "Notes that somebody has begun to type, or stopped", direction, "direction")
)

// What the gateway itself is asked.
var (
	asked = section("Commands")

	Commands        = asked.counter("commands", "Commands and registrations that were taken", "`kind` is `form` (a step of a command), `chat` or `registration`", "kind")
	CommandsRefused = asked.counter("commands_refused", "Of what was asked, refused because there was too much of it, from one user or in all", "")
	CommandsOpen    = asked.gauge("commands_open", "Commands that are under way", "")
	CommandSessions = asked.gauge("command_sessions", "Commands whose form has not been sent back yet", "")
)

// What waits.
var (
	queue = section("The queue")

	QueueMessages    = queue.gauge("queue_messages", "Messages from XMPP that are not done", "")
	QueueBytes       = queue.gauge("queue_bytes", "Bytes that they take in the journal", "")
	QueueOldest      = queue.gauge("queue_oldest_age_seconds", "How long ago the oldest of them was read, looked up every five seconds; 0 if there is none", "")
	QueueWaiting     = queue.gauge("queue_waiting_messages", "Messages that wait for their turn, or for another attempt", "`place` is `memory` or `store`", "place")
	QueueMemory      = queue.gauge("queue_memory_bytes", "Bytes of messages in memory, about", "")
	Lanes            = queue.gauge("lanes", "Destinations: a request is under way, or messages wait without one", "`state` is `busy` or `waiting`", "state")
	LanesStarved     = queue.gauge("lanes_starved", "Destinations that have to wait for the limit of requests under way", "")
	Unjournaled      = queue.gauge("messages_unjournaled", "Messages that have left and are not on the disk yet", "")
	IncomingRequests = queue.gauge("sip_requests_unanswered", "Requests from SIP that wait for the XMPP server", "")
	Reports          = queue.gauge("errors_pending", "Errors to XMPP users that are not confirmed yet", "")
)

// The journal.
var (
	journal = section("The journal")

	JournalWritable = journal.gauge("journal_writable", "Whether the last commit succeeded", "")
	CommitTime      = journal.histogram("journal_commit_seconds", "How long commits took", "")
	CommitRows      = journal.histogram("journal_commit_rows", "How many rows they wrote, of those that wrote some", "")
	CommitFaults    = journal.counter("journal_commit_failures", "Commits that failed", "")
	RowsWritten     = journal.counter("journal_rows_written", "Rows that were written", "")
	RowsSkipped     = journal.counter("journal_rows_skipped", "Messages that were done before their commit began, and needed none", "")
	RowsDropped     = journal.counter("journal_events_dropped", "Outcomes, contacts and events of the trail that there was no room for while commits failed", "")
	RowsWaiting     = journal.gauge("journal_rows_waiting", "Rows that wait for their commit", "")
	StoreBytes      = journal.gauge("store_bytes", "Size of the files of store.path, looked up every five seconds", "`file` is `database` or `wal`", "file")
)

// The SIP side.
var (
	sip = section("SIP")

	ResponsesSent     = sip.counter("sip_responses_sent", "Responses to requests of others; a pair of labels other than MESSAGE is there from its first response on", method+", `class` is `1xx` to `6xx`", "method", "class")
	ResponsesReceived = sip.counter("sip_responses_received", "Responses to requests of ours", method+", `class` is `1xx` to `6xx`", "method", "class")
	NoResponse        = sip.counter("sip_requests_timed_out", "Requests of ours that left and had no final response", method, "method")
	NotSent           = sip.counter("sip_requests_unsent", "Requests of ours that could not be sent", method, "method")
	SIPPending        = sip.gauge("sip_transactions", "Requests that are open", "`side` is `server` (theirs) or `client` (ours)", "side")
	SIPConnections    = sip.gauge("sip_connections", "Connections over TCP, TLS and WebSocket", "`opened_by` is `peer` or `stox`", "opened_by")
	SIPMalformed      = sip.counter("sip_malformed", "Messages that are no SIP, or bad SIP", "")
	SIPRefused        = sip.counter("sip_requests_refused", "Requests that the SIP side itself refused: malformed, not allowed, too many", "")
	SIPStrangers      = sip.counter("sip_strangers", "Requests from sources that are no peers, answered or not", "")
	SIPBlocked        = sip.counter("sip_blocked", "Of these, from sources that an admin has blocked", "")
	SIPGuesses        = sip.counter("sip_wrong_passwords", "Wrong passwords of peers", "")
	SIPLimited        = sip.counter("sip_rate_limited", "Requests beyond limits.peer_rate", "")
	SIPUnmatched      = sip.counter("sip_responses_unmatched", "Responses to nothing that is open", "")
	SIPDropped        = sip.counter("sip_dropped", "Packets and connections for which there was no room", "")
	SIPPanics         = sip.counter("sip_panics", "Messages that stox could not handle for a fault of its own: please report it", "")
)

// Traces.
var (
	traces = section("Traces")

	WireLogged   = traces.counter("wire_packets_logged", "Packets and stanzas that were written into the log", "")
	WireCopied   = traces.counter("wire_packets_copied", "SIP packets that were copied to log.hep", "")
	WireDropped  = traces.counter("wire_packets_dropped", "Packets that are missing in a trace: there was no room for them, or log.hep could not be reached", "")
	SpansSent    = traces.counter("spans_messages_sent", "Messages whose spans the collector at log.otlp has taken", "")
	SpansDropped = traces.counter("spans_messages_dropped", "Messages whose spans are missing there: there was no room for them, or the collector did not take them", "")
)

// Presence.
var (
	presence = section("Presence")

	presenceMethod = "`method` is `SUBSCRIBE`, `NOTIFY` or `PUBLISH`"

	PresenceRelations     = presence.gauge("presence_relations", "Pairs of a user and a contact of which one may see the other, has asked for it, or was refused it", "")
	PresenceSubscriptions = presence.gauge("presence_subscriptions", "Subscriptions over SIP that there are, be it that they are being begun or ended", "`watcher` is `user` (of XMPP, who watches a contact) or `contact` (of SIP, who watches a user)", "watcher")
	PresenceWaiting       = presence.gauge("presence_subscribes_waiting", "SUBSCRIBE requests that wait for their turn", "")
	PresenceDevices       = presence.gauge("presence_devices", "Devices of users, as contacts know them", "")
	PresencePublications  = presence.gauge("presence_publications", "Publications that there are, be it that they are still to be made", "`of` is `user` (made by stox at a SIP server) or `contact` (made at stox)", "of")
	PresenceSent          = presence.counter("presence_requests_sent", "Requests about presence that were sent, without repeats of the transport", presenceMethod, "method")
	PresenceFailed        = presence.counter("presence_requests_failed", "Of these, those that were not accepted, or had no answer; a SUBSCRIBE also where no NOTIFY followed", presenceMethod, "method")
	PresenceNotifies      = presence.counter("presence_notifies_received", "NOTIFY requests that came", "`outcome` is `taken` or `refused` (it belongs to no subscription, or is out of order)", "outcome")
	PresenceRefused       = presence.counter("presence_requests_refused", "SUBSCRIBE and PUBLISH requests that were refused", "")
	PresenceAsked         = presence.counter("presence_user_requests", "What was asked of users: whether a contact may see them, or how they are", "`kind` is `subscribe`, `probe`, or `suppressed` (a subscribe that was not sent, because there were too many)", "kind")
	PresenceDropped       = presence.counter("presence_dropped", "Presence of users that there was no room for: contacts do not see it", "")
)

// Routes and registrations. Only routes with a via are there.
var (
	routes = section("Routes")

	RouteState      = routes.gauge("route_state", "1 for what is known of the next hop", route+", `state` is `alive`, `dead` or `unknown` (it answers no OPTIONS)", "route", "domain", "state")
	RouteTrip       = routes.gauge("route_round_trip_seconds", "How long the last OPTIONS took; 0 if the next hop has not answered one, or a message since", route, "route", "domain")
	RouteRegistered = routes.gauge("route_registered", "Whether the registrar sends to us; only routes with register", route, "route", "domain")
	RouteExpires    = routes.gauge("route_registration_expires_timestamp_seconds", "When the registration ends unless it is made anew", route, "route", "domain")
	Registrations   = routes.gauge("registrations", "Registrations by state", "`state` is `registered`, `lost`, `refused`, `ending` or `trying`", "state")
	Accounts        = routes.gauge("accounts", "Users' own SIP accounts by the state of their registration", "`state` is `registered`, `lost`, `refused`, `ending` or `trying`", "state")
)
