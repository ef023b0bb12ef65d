// Package digest is digest authentication (RFC 7616) as SIP has it (RFC 3261 §22, RFC
// 8760): what challenges and credentials say, the response that proves a password, and
// the memory that both ends of it need. It sends nothing, asks no clock and logs nothing.
//
// Client answers what servers ask of one login. Server asks, and knows the answers.
//
// # What is done, and where there was a choice
//
//   - MD5, SHA-256 and SHA-512-256, each also with -sess; qop auth, auth-int and none.
//     Basic, and every scheme and algorithm that is not known, are passed over.
//   - Of several challenges of a realm the first that is understood is answered: the
//     server puts the best first (RFC 8760 §2.4). If it leaves the choice auth is taken
//     and not auth-int, which breaks wherever a body is touched on the way.
//   - Values are hashed as they are meant, without the backslashes of a quoted string, and
//     quoted again when they are sent back.
//   - A parameter that stands twice, a quote that does not end, a control character or
//     bytes that are no UTF-8 make a value one that says nothing. So do more than 2048
//     bytes or 40 parameters. What is read here can therefore stand in a header.
//   - A server wants qop, as it has asked for it, and so knows each use of a nonce apart.
//   - userhash is not asked for and not used.
//
// Digest does not show the password. But who has seen a response can try passwords against
// it, as fast as its machine is: only long random ones withstand.
package digest
