// Package wire shows what goes over the wire while somebody looks for a fault: packets of the
// SIP side and stanzas of the XMPP side, as text in the log (log.wire, and `stox wire on` for some
// addresses and some minutes), and SIP packets as HEP 3 to a capture server (log.hep). It also sends
// what became of messages as spans of OpenTelemetry (log.otlp).
//
// A Room takes copies, and one goroutine does all the rest. Whoever reads or writes the network
// asks one atomic value whether anybody looks; if somebody does it makes one copy, and goes on.
// What there is no room for is dropped and counted: nobody ever waits for a trace.
//
// No password, no nonce and no response of a digest is in anything that leaves here, in any mode
// (SEC-14), and no text of a user unless the mode is Full. Both is decided from what is known to be
// harmless: what cannot be understood is not shown, only its length is.
//
// The package knows mapping, for addresses. The sides know it by an interface of their own.
package wire
