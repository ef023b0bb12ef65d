package accounts

import (
	"strconv"

	"github.com/stoxgw/stox/mapping"
)

// Problem is why an account is not taken, changed or removed. It has no words for users.
type Problem struct {
	Kind    Kind
	Status  int // what the registrar has answered; 0 if it has not, or was not asked
	Seconds int // of KindBusy: in how long it may be tried again
}

// Error implements error, for the log.
func (p *Problem) Error() string {
	s := "accounts: " + string(p.Kind)
	if p.Status != 0 {
		s += ", answered " + strconv.Itoa(p.Status)
	}
	return s
}

// Kind is the closed list of problems. Some of them are also why an account is asleep.
type Kind string

// The kinds of problems.
const (
	KindOff           Kind = "off"                // accounts.mode is none
	KindNotAllowed    Kind = "not-allowed"        // access.allow does not have the user
	KindIncomplete    Kind = "incomplete"         // no address, or no password
	KindBadAddress    Kind = "bad-address"        // the AOR is not the address of a SIP user
	KindDomain        Kind = "not-allowed-domain" // no route with from = "account" leads to its domain
	KindTaken         Kind = "taken"              // somebody else has the AOR
	KindBadRegistrar  Kind = "bad-registrar"      // not a host that belongs to the domain of the AOR
	KindBadLogin      Kind = "bad-login"          // user name or password too long, or with control characters
	KindBadName       Kind = "bad-name"           // the same of the display name
	KindWrongPassword Kind = "wrong-password"     // the registrar takes user name and password not to be right
	KindNoAnswer      Kind = "no-answer"          // the registrar cannot be reached, or is out of order
	KindRefused       Kind = "refused"            // the registrar says no for another reason: Status
	KindBusy          Kind = "busy"               // the user has just tried, or too often; or too many others do
	KindFull          Kind = "full"               // there are too many accounts
	KindNotKept       Kind = "not-kept"           // it cannot be written to the disk
	KindUnknown       Kind = "unknown"            // the user has no account
	KindLocked        Kind = "locked"             // only of one that is asleep: no key opens what is stored
)

// Kinds are all of them.
var Kinds = []Kind{KindOff, KindNotAllowed, KindIncomplete, KindBadAddress, KindDomain, KindTaken, KindBadRegistrar, KindBadLogin,
	KindBadName, KindWrongPassword, KindNoAnswer, KindRefused, KindBusy, KindFull, KindNotKept, KindUnknown, KindLocked}

// kindOf is the kind of an address that cannot be an account.
func kindOf(f mapping.AccountFault) Kind {
	switch f {
	case mapping.AccountNotAllowed:
		return KindDomain
	case mapping.AccountTaken:
		return KindTaken
	}
	return KindBadAddress
}

// problemOf is why a registration that was tried has failed. Registrars say 403 for a wrong
// password as often as 401.
func problemOf(s LineState) *Problem {
	p := &Problem{Kind: KindRefused, Status: s.Status}
	switch s.Status {
	case 401, 403, 407:
		p.Kind = KindWrongPassword
	case 0, 408, 500, 502, 503, 504:
		p.Kind = KindNoAnswer
	}
	return p
}
