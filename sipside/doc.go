// Package sipside is the SIP side of the bridge: a user agent (RFC 3261) for page
// mode messages (RFC 3428) and for requests about events (RFC 6665, RFC 3903) over UDP,
// TCP, TLS and WebSocket that takes and gives mapping values.
//
// # How a request comes in
//
//	socket -> udpSocket / stream (frame.go: limits, framing)
//	       -> sipgo TransportLayer (read loop, parser)
//	       -> OnMessage, in the read loop, in order (dispatch.go)
//	          or, of what is plain, neither of the two: direct.go, plain.go
//	       -> checks.go (the order of RFC 3261 §8.2), refusals at once; who it is from:
//	          peers.go, authenticate.go, challenge.go, identity.go; how much: rate.go, strangers.go
//	       -> server.go (the transaction) -> Handler.FromSIP, once per read
//
// and its answer comes back through Answer -> server.go -> respond.go -> the socket it
// came from: sendqueue.go, streamout.go.
//
// # How a request goes out
//
// A MESSAGE (mapping.SIPMessage), or an OPTIONS that asks what the other side understands
// (mapping.SIPQuery); they differ in wire.go only. Those about events: see below.
//
// Deliver -> client.go (the transaction) -> nexthop.go, resolve.go, targets.go
// (where to) -> wire.go (the bytes) -> sendqueue.go, streamout.go. The final
// answer (answers.go), or what else became of it, reaches Handler.SIPOutcomes (outbox.go).
//
// Those of a batch that are plain leave together (deliver.go): over UDP, to a target that is
// known at once, without a login. All others go one by one, with the same bytes. In the same
// way the plain answers of a read are matched together (plain_answer.go); open requests are
// found by their ids (opentable.go).
//
// The next hop may have several targets (RFC 3263). A request goes to one of them
// only, which SIPMessage.Target chooses; Outcome.More says whether there is another
// to try. Who asks decides that: a repeat after an outcome that is not definite may
// arrive twice.
//
// # Events
//
// SUBSCRIBE, NOTIFY and PUBLISH (mapping.SIPSubscribe, SIPNotify, SIPPublish; events.go and
// its companions) go the same ways, in and out. Of dialogs nothing is known here: the values
// carry what a dialog is made of, and whoever takes them keeps it and gives it back. What is
// checked is what one request shows: its headers, and that its package is presence. A NOTIFY
// needs a peer as everything does, also one in a dialog that we began.
//
// A request in a dialog goes to its route set or remote target, not to the domain of the
// contact (events_hop.go). If that is the next hop of a route, or in its domain, it goes as
// the route says; else over the connection that the other side has come by, while that is
// there (mapping.SIPEvent.Flow); else where the address leads. In a dialog silence says
// nothing of the next hop: it is the other end that is gone, as like as not.
//
// They have a quarter as many places among the pending requests as messages have, and beside
// those, so that no message waits for one of them (Config.MaxPending).
//
// # Requests of our own
//
// They take the same way (own.go) and have nobody's outcome. A watch (probe.go) asks the
// servers of a route by OPTIONS whether they are there; what it learns changes the order in
// which targets are tried, as the outcomes of messages do, and is in Routes. A registration
// (register.go, what it makes of answers in register_grant.go, its state in
// register_state.go) keeps a binding at the next hop of a route, so that requests come from
// there: to the address that Via gives out, or over the connection that it was made over.
//
// # What sipgo does and what it does not
//
// sipgo (github.com/emiago/sipgo/sip) reads the sockets and parses: there is one
// sip.TransportLayer per listening socket, which is handed our own net.PacketConn
// or net.Listener, and our handler is registered with OnMessage. It runs in the
// read loop, so requests keep their order, and nothing is started per message.
// Three of its parts are not used, each for a reason that was measured or met:
//
//   - sipgo.Server and sip.TransactionLayer start a goroutine per message before
//     a handler sees it (no order, no bound) and keep some 4 kB of every UDP
//     request for 32 s. Our transactions are non-INVITE only, which is all that
//     our methods need: a map entry each, and a timer goroutine for all.
//   - TransportLayer.WriteMsg resolves and allocates per message and refuses
//     anything above 1300 bytes, responses too. We write to the socket ourselves.
//   - The typed headers. One malformed header ends a TCP connection, or makes a
//     UDP request vanish; parameter names are matched case-sensitively; and what
//     was parsed is printed differently, where a response has to repeat Via, From
//     and To as they came. The parser is therefore told to keep all headers but
//     Content-Length as text, and headers.go reads the few that matter.
//
// Our net.PacketConn and net.Conn give sipgo only what its parser accepts: they
// check limits and framing first (frame.go) and answer for what is malformed. What is
// larger than its read buffers, which are small since each connection has one, they give
// to the parser themselves.
//
// Nearly everything that comes is a plain MESSAGE or a plain response: no folded lines, no
// control characters, nothing unusual in the start line. These are read from their bytes
// (direct.go, plain.go) in a tenth of the time, and sipgo does not see them. That reader
// refuses nothing and guesses nothing: whatever it does not fully understand takes the
// parser. Both give the same fields to the same code, and FuzzDirect compares what comes of it.
//
// # Transports
//
// What is more than TCP is a link (transport.go): a net.Conn with a handshake before and a
// farewell at the end, which a stream uses like any other. Above it nothing knows of TLS
// or WebSocket but for the name in Via.
//
// TLS (tls.go, tls_verify.go) is 1.2 or later. A server has to prove the name that was asked
// for, by RFC 5922 §7, and nothing is sent to one that does not (SEC-03): no wildcards, not
// the names that DNS led to. Connections to different names are different ones. For a route
// the name is the host of its next hop; where that is an address, the domain of the route,
// and for a route for all domains the address, which then stands in the certificate as one.
// Of clients a certificate is asked for and not demanded.
//
// WebSocket (websocket.go, wsframes.go) carries one message in each of its own, both ways.
// A page of a stranger may not open a connection: see acceptWebSocket. There are no ways to
// a browser but the connection that its request came over (RFC 7118 §5).
//
// Connections to routes are kept alive and watched: keepalive.go.
//
// # Transactions
//
// Server side (RFC 3261 §17.2.2): a request is pending until Answer; a
// retransmission of it is absorbed; after 3.5 s it gets 100 Trying (RFC 4320);
// without an answer for 32 s it is forgotten, as its client has given up. Over UDP
// the answer's status is kept for Timer J (32 s) and a retransmission gets the same
// response, rebuilt from the retransmitted request; the To tag is a keyed hash of
// the transaction's key and so is the same again. Refusals by checks.go need no
// state at all.
//
// Client side (§17.1.2): Timer E 0.5, 1, 2, 4, 4 ... s over UDP, Timer F 32 s. What
// is still late after that is recognised by its branch and dropped (Timer K).
//
// A 401 or 407 on a route with a Login is answered by the same request with credentials, as
// a transaction of its own under the next CSeq, to the same target (login.go, SEC-05). That
// is all within one Deliver: its one Result is that of the last of them, and has its CSeq.
// Later requests to that target carry credentials at once.
//
// On Linux a UDP request whose destination is unreachable by ICMP (nobody listens on
// the port) ends at once, as NotWritten: refused_linux.go. The error has to quote the
// request up to the branch, and to come before a response and a retransmission; all
// others are ignored, as an earlier copy may have been read (RFC 3261 §18.4). Requests that
// left in one piece, to a loopback address, are refused by one error if that quotes the
// first and the beginning of the second (segments_linux.go).
//
// # Goroutines, locks, limits
//
// All goroutines belong to Run, which waits for them: per UDP socket a reader and
// a writer, per TCP connection a reader (sipgo's) and a writer, per listener one
// that accepts, and a fixed number for dialling, names, timers and outcomes; per next
// hop of routes one that watches it, per registration one that keeps it, that of a user's
// account among them, and one that keeps ways open for accounts. None
// is started per message. What is to be sent is sent by whoever has brought it and finds
// that nobody is sending, as long as the system takes it without waiting; the writers have
// the rest, and all of TLS and WebSocket. A slow TCP peer fills the bounded buffer of its own
// connection, which is then closed; nobody else waits for it. A connection from a
// host that is no peer gets one answer, after its header section, and is closed; where
// peers may log in it has four requests and half a minute to prove whose it is.
// Handshakes are made by the reader of the connection, which counts as one from the
// beginning, within ten seconds.
//
// Handler methods are called without a lock held. FromSIP runs on the read loops:
// one call at a time per socket or connection, but several sockets call at once. So does
// SIPOutcomes, for answers, at the end of what was read in one go: to wake a goroutine for
// it would cost more than all else about an answer. Of that there is one call at a time in
// all; what comes meanwhile, and what is no answer, is told by a goroutine of its own.
//
// Over UDP a source that is no peer gets three answers a minute, to whatever it sends, and
// then none; when too many such sources are counted, new ones get none at all. Who has proved
// by a login within an hour to be there is not counted. Of wrong passwords ten a minute are
// looked at from one address, each for a nonce that this address was given: nobody can have
// another shut out. A peer has Config.PeerRate requests a second from each address; copies of
// what was taken do not count, copies of what was refused stay refused.
//
// # Divergences, on purpose
//
//   - What a peer asserts of the sender (P-Asserted-Identity) is the sender only where the
//     peer may speak for it; Privacy with user or header hides it as id does.
//   - maddr and host names in Via are not used for sending responses: they go to
//     the source address. A response for a TCP connection that is gone is dropped.
//   - The Request-URI of a request that is sent to a route stays as it is. A Route
//     header is added only for a route marked loose (";lr").
//   - A request has at most 70 Via values, with eight parameters each in the mean, 64 parameters
//     in any other header and in its URI, and 64 option tags in Require. Beyond that is 513, or 400.
//   - A control character in a header is refused with 400, also in a quoted string, where
//     RFC 3261 §25.1 lets it stand: it would go on to programs that stumble over it.
//   - A From without a tag (RFC 2543) is refused with 400, as a repeat is known by it; a Via
//     without a branch and a request without Max-Forwards are taken.
//   - Where a header that stands once at most and only informs (Date, Expires,
//     Content-Language) stands twice, the first counts. Others are refused with 400.
//   - A Date or Expires that cannot be read says nothing, and Expires: 0 one second.
//   - A request that goes over TCP for its size, and is refused there, is not sent
//     over UDP (RFC 3261 §18.1.1): a MESSAGE must not be (RFC 3428 §8).
//   - A certificate that is made for the web (serverAuth) will do for SIP: RFC 5924 §4
//     would have id-kp-sipDomain in it, and nearly nobody has. The address of a route for
//     all domains is compared with the addresses in the certificate, of which RFC 5922 has
//     nothing. For WSS the rules are those of TLS, and so stricter than RFC 7118 asks for.
//   - A text message of WebSocket that is not UTF-8 is judged as SIP, not as WebSocket. A
//     message whose Content-Length is not that of its WebSocket message gets 400.
//   - The Contact of a registration over TLS says transport=tls, which RFC 3261 §26.2.2
//     deprecates: registrars choose the way back by it. Service-Route (RFC 3608) is not used.
//     A binding whose address was changed on the way is taken for ours if it has our instance,
//     or is the only one and of the same user.
//   - Over UDP the flow of a registration is kept by OPTIONS, where RFC 5626 §4.4.2 has STUN.
//   - Over UDP requests of a dialog go where Contact says, and not to where its requests have
//     come from: which of the two leads back through NAT cannot be told. A proxy on the way
//     corrects the one or adds itself to the route set; else TCP does it. A host in .invalid
//     is never looked up: it is reached over its connection or not at all.
//   - A Contact of ours over TCP does not say transport=tcp where a UDP socket has the same
//     name: the other side chooses. A remote target goes without its headers, and maddr in it
//     is not looked at.
//   - A NOTIFY or PUBLISH that is too long for UDP goes over it all the same where no TCP
//     connection can be made, and on a route with SizeSplit: it cannot be cut, and nobody
//     else would say what it says. SizeReject and MaxBytes keep it back.
//   - A Record-Route without angle brackets, or of more than 16 URIs or 4 KiB, is refused
//     with 400, as is a Contact that is longer than 1 KiB. Parameters of Subscription-State
//     that cannot be read say nothing.
//   - A SUBSCRIBE is never answered with 202 (RFC 6665 §8.3.1), whatever Config.Accept says,
//     nor are the others.
//   - A name's addresses keep the order in which they were first seen, as far as they
//     are still there: the load is not spread by a name server that turns them round.
package sipside
