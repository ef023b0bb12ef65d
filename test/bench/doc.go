// Package bench measures the whole daemon in this process: its own App on real loopback
// sockets, with an XMPP server and SIP peers that do as little as can be done. `make bench`
// runs it.
//
// The figures are for comparing one version with another on one machine: daemon and peers
// share the processors and the collector. What a daemon does beside other gateways, in a
// process of its own, is in docs/performance.md.
//
// Allocations are those of the daemon: the peers make none per message. They do not depend
// on how fast the machine is, and so TestAllocations guards them.
package bench
