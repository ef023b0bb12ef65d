// Package doctor looks for what keeps a gateway from working, from outside of the
// daemon: it connects to whom the daemon would connect to, tries its sockets, asks DNS
// and the SIP servers, and looks at the machine. What it finds are Findings, each
// failure with its remedy.
//
// It changes nothing. What it makes, it takes away again: connections, sockets that
// are bound and closed at once, and a small file beside the store, by which it measures
// how long the disk takes.
//
// A component name has one connection, which a second one would take over (Prosody with
// component_conflict_resolve = "kick_old") or share (ejabberd). So Run first asks
// whether a daemon answers on its socket. While one does, no component stream is
// opened; what can be known of its links is what the daemon tells.
//
// # The files
//
//   - doctor.go: Run, and the order of the checks
//   - daemon.go: whether a daemon runs, and what it says of its links
//   - xmpp.go: component names, barriers, user domains
//   - listen.go, holder_linux.go: the sockets of sip.listen, sip.advertise
//   - routes.go: where requests go, by DNS, and what is at the targets
//   - request.go: one request, OPTIONS or REGISTER, and what an answer tells
//   - register.go: registrations, those of the daemon or what a registrar says
//   - certs.go: the certificate of a TLS server
//   - machine.go, system_unix.go: clock, open files, disk
//
// # Time
//
// Independent checks run side by side; each waits for Options.Patience at most at each
// of its steps (twice that for XMPP's handshake), and all end at Options.Limit. What has not been looked at by then says
// so. Everything that Run starts has ended when it returns.
//
// No finding has a secret or the text of a message in it. What servers say of
// themselves is cut to a length; it may hold any character.
package doctor
