// Package presence carries presence between XMPP users and SIP users (RFC 8048, RFC 3856,
// RFC 6665, RFC 3903). It is a sibling of internal/bridge, which carries messages: neither
// waits for the other, and both know values only.
//
// There are roles, which know little of each other but that they share a relation:
//
//   - subscriber (subscriber*.go): an XMPP user watches a SIP contact. The user's
//     subscription is for good, so it is kept (State); toward SIP it is a series of dialogs
//     that the gateway begins, refreshes and begins anew.
//
//   - notifier (notifier*.go): a SIP contact watches an XMPP user. What the user has decided
//     is for good and kept; the dialogs are those of the contact's user agents.
//
//   - compositor (compositor*.go): a SIP contact publishes its presence to the gateway, which
//     serves those who watch it.
//
//   - publisher (publisher*.go): the presence of users is published at a presence server.
//
// # Who owns what
//
// One mutex guards all state. What is decided under it is collected in a work and handed on
// when it is released: to the book first, then the answers and requests to SIP, then the
// stanzas. Nothing blocks: the sides and the book take what they are given and return.
// Whatever happens later is a timer in one heap, which Run works off.
//
// A relation is a pair of bare JIDs, the user and the contact. What is known of a user's
// presence is kept in it as the user shows it to that contact, and is never used for
// another one (SEC-17).
package presence
