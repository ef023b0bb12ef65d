// Package accounts knows which XMPP user has which SIP account of his own, and has the SIP
// side register with them.
//
// A user has one account at most, and an account one user. It is taken once a registration
// with it has succeeded and it is on the disk, in this order:
//
//	Set ──> checked ──> tried at the registrar ──> written ──> it is the account
//	            │                 │                   │
//	            └ refused         └ what was stays    └ taken back
//
// If the process ends between the last two the account is not there, and nobody was told that
// it is; what the registrar was told ends with the time of the registration.
//
// Accounts that may not be used at present are asleep: they are kept as they are, and not
// registered (Account.State). That is so while accounts.mode is none, while the user is not in
// access.allow, while the routes do not lead to the address any more, and while there is no
// key for what is stored.
//
// # Passwords
//
// What is stored of an account is sealed but for the two addresses (seal.go): with
// AES-256-GCM, bound to both. Passwords leave this package to the SIP side only; they are in
// no error, no log and no Account.
//
// # Concurrency
//
// All methods may be called from any goroutine; none waits for the network or the disk.
// Functions that are called back are called with no lock held.
package accounts
