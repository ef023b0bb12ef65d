package mapping

import (
	"fmt"
	"strings"
	"time"
)

// Failures of what an admin, or the user himself, does not want to be sent.

// namedPrefixes is how many prefixes a text for a person names.
const namedPrefixes = 12

// FailPrefix means that a number may not be dialled; allowed are the prefixes of those that
// may be. known: it is known in full, and does not begin with one of them.
func FailPrefix(allowed []string, known bool) *Failure {
	list := strings.Join(allowed[:min(len(allowed), namedPrefixes)], ", ")
	if n := len(allowed) - namedPrefixes; n > 0 {
		list = fmt.Sprintf("%s and %d more", list, n)
	}
	text := "Messages can be sent to telephone numbers that begin with " + list + " only."
	if !known {
		text += " Write the number in full, with + and the code of the country."
	}
	return &Failure{Status: 403, Condition: CondNotAllowed, Type: TypeCancel, Text: text,
		Remedy: "limits.prefixes lists what numbers may begin with"}
}

// FailDaily means that a user has sent as many messages to telephones as he may on one day;
// the next one begins at that time.
func FailDaily(sent, limit int, next time.Time) *Failure {
	return &Failure{Status: 503, Condition: CondResourceConstraint, Type: TypeWait,
		Text: fmt.Sprintf("You have sent %d of %d messages to telephone numbers today. You can send again after midnight (%s).",
			sent, limit, next.Format("15:04 MST")),
		Remedy: remedyDaily}
}

// FailDailyParts is FailDaily for a message that would have to go in more parts than are left.
func FailDailyParts(parts, sent, limit int, next time.Time) *Failure {
	return &Failure{Status: 503, Condition: CondResourceConstraint, Type: TypeWait,
		Text: fmt.Sprintf("The message is so long that it counts as %d, and you have sent %d of %d messages to telephone numbers today. Write less, or send it after midnight (%s).",
			parts, sent, limit, next.Format("15:04 MST")),
		Remedy: remedyDaily}
}

// FailDailyRoom means that so many users have sent messages to telephones on this day that
// those of one more cannot be counted.
func FailDailyRoom() *Failure {
	return &Failure{Status: 503, Condition: CondResourceConstraint, Type: TypeWait,
		Text:   "Too many users have sent messages to telephone numbers today. Try again tomorrow.",
		Remedy: "access.allow lists who may use the gateway: more users than can be counted have sent messages to telephones today"}
}

const remedyDaily = "limits.daily_per_user is how many messages to telephones a user may send on one day; stox usage shows who has sent how many"

// FailBlocked means that a user writes to a contact that he has blocked himself (XEP-0191 §3.5).
func FailBlocked() *Failure {
	return &Failure{Status: 403, Condition: CondNotAcceptable, Type: TypeCancel, Blocked: true,
		Text: "You have blocked this contact. Unblock it before you write to it."}
}

// FailBlockedAddress means that an admin has blocked a SIP address, for everybody.
func FailBlockedAddress() *Failure {
	return &Failure{Status: 403, Condition: CondNotAllowed, Type: TypeCancel,
		Text:   "The administrator of this gateway has blocked this address.",
		Remedy: "stox block list shows what is blocked"}
}

// FailBlockedUser means that an admin has blocked an XMPP user.
func FailBlockedUser() *Failure {
	return &Failure{Status: 403, Condition: CondForbidden, Type: TypeAuth,
		Text:   "The administrator of this gateway has blocked you.",
		Remedy: "stox block list shows what is blocked"}
}

// FailUnavailable is what an XMPP server says of users who do not exist, of those who are not
// there, and of those who have blocked the sender: that there is nobody who could take it.
func FailUnavailable() *Failure {
	return FailureFromStanza(CondServiceUnavailable, TypeCancel, "", "")
}
