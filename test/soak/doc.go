// Package soak runs the daemon under a steady load for as long as one likes, and holds
// every message against what became of it: each request is answered 200 and delivered
// once, each stanza arrives once, and the daemon's memory, threads and files do not grow.
//
//	make soak        a minute; part of make test
//	make soak-long   ten minutes; part of make test-long
//
// The daemon is a process of its own, as it is installed; the XMPP server and the SIP
// peers are in the test. The rate is a goal: what was reached is reported, and a machine
// that is busy makes the test slower, not red.
package soak
