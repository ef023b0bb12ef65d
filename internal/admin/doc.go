// Package admin is the operator's door to a running daemon: a Unix socket on which
// a Server answers questions about the queue and the trail, and the Client that
// asks them. It speaks HTTP/1.1 with JSON, so that curl --unix-socket does as well:
//
//	GET  /v1/queue/list?after=ID&n=500   Page: rows in the order of their ids
//	GET  /v1/queue/show?id=ID            Message
//	POST /v1/queue/retry?id=ID           Message, as it is afterwards
//	POST /v1/queue/drop?id=ID            Message, as it was
//	GET  /v1/trail?id=ID                 []Step
//	GET  /v1/history?id=ID               []history.Message, for stox trail: no promise to scripts
//	GET  /v1/links                       []Link, of the XMPP side
//	GET  /v1/routes                      []Route, of the SIP side
//	GET  /v1/presence/list?user=JID&contact=ADDRESS&after_user=JID&after_contact=JID&n=500
//	                                     RelationPage: in the order of users and contacts
//	GET  /v1/presence/show?user=JID&contact=ADDRESS
//	                                     Relation
//	POST /v1/presence/cancel?user=JID&contact=ADDRESS&direction=watches|watched
//	                                     Relation, as it was; both directions if none is given
//	GET  /v1/health                      Health, with 200 also where it is bad
//	POST /v1/reload                      Reloaded
//	GET  /v1/wire                        Wire
//	POST /v1/wire/on?of=ADDRESS&full=1&seconds=600
//	                                     Wire, as it is afterwards; of as often as there are addresses
//	POST /v1/wire/off                    the same
//
// An answer other than 200 is an Error. A list is read page by page: nothing is
// held in between, on either side, however long the queue is and however slowly
// it is read.
//
// Web is another door, for programs that watch: a TCP port with what others put there
// (metrics), the health of the daemon and the profiles of the Go runtime.
//
// Who may open the socket (mode 0600: root and the daemon's own user) may do all of
// this. The text of a message is never part of it, nor what anybody shows of himself.
//
// The package knows nobody but the values of internal/history: whoever has a queue
// implements Queue.
package admin
