// Package mapping is the dictionary between XMPP and SIP: addresses (RFC 7247),
// messages (RFC 7572) and errors (RFC 7247 §7), in both directions.
//
// It is pure. Nothing in here reads a clock, draws a random number, opens a
// connection, logs, or keeps state between calls, and it knows neither side's
// library: values come in as the types below and go out as the types below.
// What needs memory or chance (a fresh Call-ID, a stanza id, a From tag) is left
// empty and filled in by the bridge.
//
// The message's way through this package:
//
//	XMPPMessage --Rules.ToSIP--> SIPMessage      (message.go)
//	SIPMessage  --Rules.ToXMPP-> XMPPMessage     (message.go)
//	JID <-> URI                                  (rules.go; values in jid.go, uri.go)
//	SIP status <-> stanza error                  (failure.go, tables.go)
//
// Requirement ids such as ADDR-20 or IM-04 in comments and tests name the rows
// of docs/requirements.md.
package mapping
