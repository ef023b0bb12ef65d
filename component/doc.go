// Package component is the XMPP side of the gateway: an external component
// (XEP-0114, accept method) that speaks mapping values inward and stanzas
// outward.
//
// # Spoken
//
//   - XEP-0114 1.6, RFC 6120 streams and stanza errors: link.go, reader.go, fault.go; the
//     XML of a stream: scan.go, scan_quick.go, scan_attributes.go, scan_text.go, scan_name.go,
//     scan_words.go, tree.go
//   - RFC 6121 §5 messages: inward message_in.go, outward message_out.go, what both and
//     errors share wire.go
//   - XEP-0066 links beside a text, XEP-0203 and XEP-0091 delays, read: message_in.go
//   - XEP-0444 reactions, of which nothing is handed over, not even what XEP-0428 says
//     stands in for them: reaction.go
//   - XEP-0380, XEP-0384, XEP-0373, XEP-0027 and RFC 3923, as far as to see that a message
//     is encrypted: encrypted.go
//   - XEP-0203 delays and XEP-0172 nicks, written: message_out.go; XEP-0071: xhtml_out.go
//   - XEP-0030 service discovery, of the gateway and of contacts: disco.go; what presence
//     says of it, XEP-0115: caps.go
//   - RFC 6121 §3, §4 presence, of which only what is asked for: presence.go
//   - XEP-0356, as far as to put contacts into rosters: roster.go
//   - XEP-0050 commands and XEP-0077 registration, to the gateway itself, which the handler
//     answers: command.go, command_out.go, register.go, inquiry.go; their forms, XEP-0004:
//     form.go
//   - XEP-0012 last activity: last.go; XEP-0054 and XEP-0292 vCards: vcard.go
//   - XEP-0100 addresses that were typed: prompt.go
//   - XEP-0092 software version: version.go; the question what the server is: ping.go
//   - XEP-0199 ping, asked and answered: ping.go; as a barrier: barrier.go, domain.go
//
// # Goroutines
//
// Run owns all of them and waits for all of them before it returns. Their
// number does not depend on the traffic:
//
//   - the supervisor (the caller of Run): connects, waits for the link to end, backs off;
//   - per link the reader: parses stanzas, matches bounces, answers IQs into the
//     buffer of the writer, calls Handler.XMPPOutcomes for what it has settled and
//     Handler.FromXMPP for what it has read. It is paused by nothing but a lack of
//     reply slots;
//   - per link the writer: takes all that has gathered in the buffer and that others
//     could not write at once, and writes it in one go, with a deadline for each piece;
//   - the teller: calls Handler.XMPPOutcomes for what time, a lost link or Deliver
//     itself has settled, never while the reader does. It is the keeper of the one timer
//     behind all deadlines (deadline.go).
//
// Deliver runs on the goroutine of its caller, takes one mutex (queue.mu), appends,
// writes without the mutex what the connection takes without waiting, unless somebody
// writes already (push.go), and returns. The handler is never called with that mutex
// held, so Deliver may be called from inside the handler.
//
// # Positions
//
// The position of a stanza is the offset of its last octet in what has been
// written to the link, counted from the first octet after the handshake. It is
// assigned in the same critical section that appends the stanza, so the order of
// positions is the order on the wire. Each link is an epoch of its own. A stanza
// whose position has been passed to the kernel when the link breaks may have been
// understood: it is written once more if the link returns in time (again.go). One
// of which an octet is missing cannot have been: NotWritten.
//
// # Barriers
//
// A barrier is a ping to ourselves, appended in the critical section that appends
// the messages before it (barrier.go); users of other domains have pings to their
// domain (domain.go). The reader matches bounces and barriers in stream order,
// before it hands anything over, so when a barrier has come home every bounce
// that the server's router made of what it covers has been seen. What a user's
// session refuses may come later: BarrierSettled waits for it, for as long as the
// link has shown that it takes (settle.go), which is no proof. Barriers come home in the order written. One that
// does not shows that somebody else gets what is ours; that link is split and not
// used. A bounce after the barrier is late: it is counted and dropped.
//
// A message whose barrier takes too long is Unknown, since its SIP transaction cannot
// wait. An error of ours can: it waits for as long as its link lives (deadline.go).
//
// # Reply slots
//
// Whatever is read may need an answer: an IQ result or a stanza error, at once or
// later from the bridge (XMPPError). None may be dropped for want of room, so the
// reader takes no further stanza while Config.ReplySlots of them (or
// Config.ReplyBytes) wait to be written. What can still come then is bounded by
// what was read before. Pausing fills the TCP window, which is what the server
// must feel. If it does not read either, the writer gives the link up after
// Config.WriteTimeout.
//
// # Inquiries
//
// Commands and registrations are IQs that the handler answers. There are few at a time
// (inquiry.go), and one too many is answered resource-constraint. Each has exactly one answer:
// where the handler gives none in a minute, or one that cannot be written, it is an error of
// ours. They are not bound to a link.
//
// # Divergences
//
//   - A prefix that nothing declares stands for itself, and white space in the value of an
//     attribute stays what it is: some servers pass on the one and do not escape the other.
//   - Stanzas and their children are accepted in jabber:client as well as in
//     jabber:component:accept: some servers mix them.
//   - A link that broke is reset, not closed: no stream error is sent to a server
//     whose XML was wrong.
//   - The idle check is a ping to our own name. It comes back to us through the
//     router of the server, so it shows that the server works and not only that its
//     kernel does; the parent of our name need not be a host of this server. When it
//     comes home it is consumed: nobody but us waits for the answer.
//   - A stanza whose sender does not parse is answered with the very octets that
//     came as its from; one without a sender cannot be answered, nor one whose id is
//     so long that the server would end the stream at the answer.
//   - A stanza for a domain that is not ours (ejabberd with global_routes) is
//     answered from our own name: another from would end the stream.
//   - The capabilities of all contacts are the same: they are those of the telephone that
//     has a resource. A question about them is answered like that under the bare JID too,
//     which otherwise is an account. XEP-0115 knows no such difference, but it lets a
//     client ask once for all contacts.
//   - A ping to a resource of a contact is answered service-unavailable: which there are,
//     only the SIP side knows, and it is not asked.
//   - Of presence only the type and the addresses are read; error stanzas are ignored, since
//     nothing follows from what becomes of our presence.
package component
