// Package mapping is the dictionary between XMPP and SIP: addresses (RFC 7247),
// messages (RFC 7572), presence (RFC 8048 §6) and errors (RFC 7247 §7), in both directions.
//
// It is pure. Nothing in here reads a clock, draws a random number, opens a
// connection, logs, or keeps state between calls, and it knows neither side's
// library: values come in as the types below and go out as the types below.
// What needs memory or chance (a fresh Call-ID, a stanza id, a From tag) is left
// empty and filled in by the bridge.
//
// Where what is, in the order in which to read it:
//
//	values.go, outcome.go        what crosses the walls of this package
//	message.go                   Rules.ToSIP and Rules.ToXMPP, both ways in
//	message_to_sip.go            a stanza as a request: links.go, encrypted.go, split.go
//	message_to_xmpp.go           a request as a stanza: dates.go, nick.go, and its body:
//	content.go, media.go         what a body is by its headers, and who reads it
//	charset.go, flowed.go        text/plain
//	html.go                      text/html: html_parse.go and html_nesting.go take it apart, html_tree.go
//	                             has what is left, html_text.go and xhtml.go write it
//	cpim.go                      message/cpim: cpim_parse.go, cpim_append.go, cpim_wrap.go, content_cpim.go
//	imdn.go                      notifications (RFC 5438): imdn_read.go, imdn_write.go
//	pidf.go                      presence (RFC 3863): pidf_document.go is what a document says, pidf_read.go and
//	                             pidf_write.go its forms, pidf_activities.go and pidf_priority.go what has a table
//	parts.go, multipart.go       multiparts: what they say, and how they are cut
//	inflate.go, transfer.go      Content-Encoding and Content-Transfer-Encoding
//	text.go, scan.go             what may be in a line, a header, a stanza
//	rules.go                     JID <-> URI: rules_to_sip.go, rules_to_xmpp.go, escape.go, phone.go, explain.go;
//	                             registered.go and accounts.go for what comes to a contact that was registered;
//	                             the values are in jid.go, uri.go. plain.go and rules_plain.go are a short way
//	                             for what nearly all addresses are; they say nothing that the others do not
//	failure.go, tables.go        SIP status <-> stanza error; warning.go, redirect.go, reason.go
//	local.go, refusal.go         failures of our own
//
// Requirement ids such as ADDR-20 or IM-04 in comments and tests name the rows
// of docs/requirements.md.
package mapping
