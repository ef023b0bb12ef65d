package mapping

// Table is one way to read RFC 7247 §7: which SIP status stands for which
// stanza error condition, and back. Tables do not change after start.
type Table struct {
	toSIP  map[Condition]statusRow
	toXMPP map[int]Condition
}

// The two tables. Everything in stox uses Default. Strict is the letter of RFC
// 7247 wherever SIP itself allows it, for comparison (ERR-15).
var (
	Default = newTable(defaultToSIP, rfc7247ToXMPP, gapsToXMPP)
	Strict  = newTable(defaultToSIP, rfc7247ToXMPP, nil).with(strictToSIP)
)

// statusRow gives the SIP final status for a condition, by the form of the JID
// that the failed stanza was addressed to (RFC 7247 §7.1 notes 1 and 2). uri is
// the status if the condition comes with a new address that SIP can use; 0: no
// difference.
type statusRow struct {
	cond       Condition
	bare, full int
	uri        int
}

// defaultToSIP is RFC 7247 Table 2 as used: one column, that for full JIDs. The
// column for bare JIDs answers 6xx, which for a MESSAGE means "delivered but
// refused" (RFC 3428 §7) and stops every fork of the request: more than a
// gateway knows (ERR-05).
var defaultToSIP = []statusRow{
	{CondBadRequest, 400, 400, 0},
	{CondConflict, 400, 400, 0},
	{CondFeatureNotImplemented, 405, 405, 0}, // needs Allow
	{CondForbidden, 403, 403, 0},
	{CondGone, 410, 410, 301}, // 301 needs Contact (ERR-07)
	{CondInternalServerError, 500, 500, 0},
	{CondItemNotFound, 404, 404, 0},
	{CondJIDMalformed, 400, 400, 0},
	{CondNotAcceptable, 406, 406, 0},
	{CondNotAllowed, 403, 403, 0},
	{CondNotAuthorized, 403, 403, 0},   // RFC 7247: 401, which must carry a challenge (ERR-10)
	{CondPaymentRequired, 402, 402, 0}, // not in RFC 7247
	{CondPolicyViolation, 403, 403, 0},
	{CondRecipientUnavailable, 480, 480, 0},
	{CondRedirect, 480, 480, 302},           // 302 is of no use without Contact
	{CondRegistrationRequired, 403, 403, 0}, // RFC 7247: 407, which must carry a challenge (ERR-10)
	{CondRemoteServerNotFound, 404, 404, 0},
	{CondRemoteServerTimeout, 504, 504, 0}, // RFC 7247: 408, forbidden here by RFC 4320 §4.2 (ERR-09)
	{CondResourceConstraint, 500, 500, 0},
	{CondServiceUnavailable, 480, 480, 0}, // servers say it of unknown and absent users alike; never 503 (ERR-04)
	{CondSubscriptionRequired, 400, 400, 0},
	{CondUndefinedCondition, 400, 400, 0},
	{CondUnexpectedRequest, 400, 400, 0}, // 491 belongs to INVITE
}

// strictToSIP has the rows in which RFC 7247's own table differs from the above.
var strictToSIP = []statusRow{
	{CondFeatureNotImplemented, 501, 405, 0},
	{CondForbidden, 603, 403, 0},
	{CondItemNotFound, 604, 404, 0},
	{CondNotAcceptable, 606, 406, 0},
	{CondRecipientUnavailable, 600, 480, 0},
	{CondServiceUnavailable, 403, 403, 0}, // note 5: "403 or 405", never 503
}

// conditionRow gives the condition for a SIP final status. The error type is
// that of the condition in RFC 6120; RFC 7247 names none.
type conditionRow struct {
	status int
	cond   Condition
}

// rfc7247ToXMPP is RFC 7247 Table 3 (ERR-02). The rows of x00 are also the
// defaults of their class (ERR-03, ERR-13).
var rfc7247ToXMPP = []conditionRow{
	{300, CondRedirect},
	{301, CondGone},
	{302, CondRedirect},
	{305, CondRedirect},
	{380, CondNotAcceptable},
	{400, CondBadRequest},
	{401, CondNotAuthorized},
	{402, CondBadRequest},
	{403, CondForbidden},
	{404, CondItemNotFound},
	{405, CondFeatureNotImplemented},
	{406, CondNotAcceptable},
	{407, CondRegistrationRequired},
	{408, CondRemoteServerTimeout},
	{410, CondGone},
	{413, CondPolicyViolation},
	{414, CondPolicyViolation},
	{415, CondNotAcceptable},
	{416, CondNotAcceptable},
	{420, CondFeatureNotImplemented},
	{421, CondNotAcceptable},
	{423, CondResourceConstraint},
	{430, CondRecipientUnavailable},
	{439, CondFeatureNotImplemented},
	{440, CondPolicyViolation},
	{480, CondRecipientUnavailable},
	{481, CondItemNotFound},
	{482, CondNotAcceptable},
	{483, CondNotAcceptable},
	{484, CondItemNotFound},
	{485, CondItemNotFound},
	{486, CondRecipientUnavailable},
	{487, CondRecipientUnavailable},
	{488, CondNotAcceptable},
	{489, CondPolicyViolation},
	{491, CondUnexpectedRequest},
	{493, CondBadRequest},
	{500, CondInternalServerError},
	{501, CondFeatureNotImplemented},
	{502, CondRemoteServerNotFound},
	{503, CondInternalServerError},
	{504, CondRemoteServerTimeout},
	{505, CondNotAcceptable},
	{513, CondPolicyViolation},
	{600, CondRecipientUnavailable},
	{603, CondRecipientUnavailable},
	{604, CondItemNotFound},
	{606, CondNotAcceptable},
}

// gapsToXMPP has the registered codes that RFC 7247 does not list and for which
// the default of their class would mislead.
var gapsToXMPP = []conditionRow{
	{428, CondNotAuthorized},         // Use Identity Header, RFC 8224
	{429, CondNotAuthorized},         // Provide Referrer Identity, RFC 3892
	{433, CondNotAuthorized},         // Anonymity Disallowed, RFC 5079
	{436, CondNotAuthorized},         // Bad Identity Info, RFC 8224
	{437, CondNotAuthorized},         // Unsupported Credential, RFC 8224
	{438, CondNotAuthorized},         // Invalid Identity Header, RFC 8224
	{470, CondSubscriptionRequired},  // Consent Needed, RFC 5360
	{494, CondNotAuthorized},         // Security Agreement Required, RFC 3329
	{555, CondFeatureNotImplemented}, // Push Notification Service Not Supported, RFC 8599
	{580, CondNotAcceptable},         // Precondition Failure, RFC 3312
	{607, CondForbidden},             // Unwanted, RFC 8197: do not retry
	{608, CondPolicyViolation},       // Rejected by an intermediary, RFC 8688
}

func newTable(toSIP []statusRow, toXMPP, gaps []conditionRow) *Table {
	t := &Table{make(map[Condition]statusRow), make(map[int]Condition)}
	for _, row := range append(toXMPP[:len(toXMPP):len(toXMPP)], gaps...) {
		t.toXMPP[row.status] = row.cond
	}
	return t.with(toSIP)
}

// with lays rows over those that t has. Only for use while t is being made.
func (t *Table) with(rows []statusRow) *Table {
	for _, row := range rows {
		t.toSIP[row.cond] = row
	}
	return t
}

// Status is the SIP final status for a stanza error. bare says that the failed
// stanza was addressed to a bare JID (only Strict cares), hasURI that a usable
// SIP URI is at hand for Contact (only gone and redirect care). A condition that
// is not defined counts as undefined-condition. The result is never 401, 407,
// 408 or 503.
func (t *Table) Status(c Condition, bare, hasURI bool) int {
	row, ok := t.toSIP[c]
	if !ok {
		row = t.toSIP[CondUndefinedCondition]
	}
	switch {
	case hasURI && row.uri != 0:
		return row.uri
	case bare:
		return row.bare
	}
	return row.full
}

// Condition is the stanza error for a SIP final status and its default type. A
// status that is not listed is read as the x00 of its class (RFC 3261 §8.1.3.2);
// outside 300-699 there is nothing to read and it is undefined-condition.
func (t *Table) Condition(status int) (Condition, ErrorType) {
	c, ok := t.toXMPP[status]
	if !ok {
		c, ok = t.toXMPP[status/100*100]
	}
	if !ok {
		c = CondUndefinedCondition
	}
	return c, c.DefaultType()
}
