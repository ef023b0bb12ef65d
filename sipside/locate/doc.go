// Package locate finds where a SIP request goes: RFC 3263 for a client, RFC 3861 for
// im: and pres: addresses, RFC 5922 for the name that a server has to show, and a
// memory of the servers that failed.
//
// A Locator asks DNS and remembers what it was told; Locate blocks until there is an
// answer, an error of a closed list, or the end of its context, and leaves nothing
// running. Which sockets a request goes out on, and whether the address found is our
// own, is the caller's business.
//
// # What is done, and where there was a choice
//
//   - Host a number: that address, no DNS. Host with a port: its addresses, no SRV,
//     even for 5060. UDP if no transport is named, or what is supported of UDP, TCP,
//     TLS in that order.
//   - Transport named: SRV of that transport, then the addresses. There is no SRV name
//     for WebSocket (RFC 7118 has only NAPTR services), so ws and wss ask NAPTR for
//     SIP+D2W and SIPS+D2W, then the addresses with port 80 or 443.
//   - Neither: NAPTR, then SRV for TLS, TCP and UDP, then the addresses for UDP. All
//     services of a domain are listed, in its order (NAPTR) or ours, since a message
//     that arrives by the second best way is better than one that does not. An order
//     of NAPTR is read as the preference of the domain, as the example of RFC 3263
//     §4.1 has it, and not as the end of the list (RFC 3403 §4.1).
//   - Only NAPTR records with the flag "s" and no regular expression count. If there
//     are NAPTR records of SIP and none leads anywhere, SRV is asked but the addresses
//     of the domain are not taken: it has said that its SIP servers are elsewhere.
//     The same holds if DNS could not say whether there are any.
//   - An SRV target "." refuses that one transport.
//   - Names in the hosts file, localhost and what is below it are not asked in DNS at
//     all, not for NAPTR or SRV either: whoever wrote the file has said where the host
//     is. Search lists and ndots do not apply: a SIP domain is a whole name.
//   - The addresses of one host come in the order of RFC 6724 (rules 1, 2, 5, 6 and 8),
//     all before those of the next SRV target (RFC 7984 §4). They are not interleaved:
//     rule 1 puts what this machine has no route to behind the rest, and a try costs
//     a time-out only if the route exists and leads nowhere, which Health remembers.
//   - The draw among SRV weights and the order of addresses are kept for two minutes
//     at least unless there are new records, whatever their TTL: a request that got
//     no answer for the 32 s of Timer F has to find the next target in its place.
//   - Additional records are used only for the very answer that they came with, and
//     only if they have both kinds of addresses of a host.
//   - im: and pres: domains are asked for _im._sip and _pres._sip (RFC 5509). The
//     target of such a record is a SIP host: with another port than 5060 it is that
//     port, else the procedure for sip: is done for it. Without such records it is
//     done for the domain itself.
//   - Answers are kept for their TTL, 1 s to 1 h; that there is nothing for 5 s to
//     5 min; a failure for 5 s. If a question cannot be answered any more, the last
//     good answer is used for another hour, and asked again each 30 s.
//   - The name that a TLS server must show is the domain asked for, whatever names DNS
//     led through: what was found in DNS is not to be trusted (RFC 5922 §4).
package locate
