// Package blocks knows whom nobody wants to hear of: SIP contacts that a user has blocked for
// himself, and what an admin has blocked for everybody - SIP addresses and domains, the places
// that SIP requests come from, XMPP users and domains.
//
// A Table answers questions; what follows from an answer is decided where the question is
// asked. It is kept in memory as a whole, and through the small interface Book on the disk.
// Nobody is told what somebody else has blocked: List and Unblock see one owner's entries.
package blocks
