package mapping

import (
	"maps"
	"slices"
)

// The defined conditions of stanza errors (RFC 6120 §8.3.3).
const (
	CondBadRequest            Condition = "bad-request"
	CondConflict              Condition = "conflict"
	CondFeatureNotImplemented Condition = "feature-not-implemented"
	CondForbidden             Condition = "forbidden"
	CondGone                  Condition = "gone"
	CondInternalServerError   Condition = "internal-server-error"
	CondItemNotFound          Condition = "item-not-found"
	CondJIDMalformed          Condition = "jid-malformed"
	CondNotAcceptable         Condition = "not-acceptable"
	CondNotAllowed            Condition = "not-allowed"
	CondNotAuthorized         Condition = "not-authorized"
	CondPolicyViolation       Condition = "policy-violation"
	CondRecipientUnavailable  Condition = "recipient-unavailable"
	CondRedirect              Condition = "redirect"
	CondRegistrationRequired  Condition = "registration-required"
	CondRemoteServerNotFound  Condition = "remote-server-not-found"
	CondRemoteServerTimeout   Condition = "remote-server-timeout"
	CondResourceConstraint    Condition = "resource-constraint"
	CondServiceUnavailable    Condition = "service-unavailable"
	CondSubscriptionRequired  Condition = "subscription-required"
	CondUndefinedCondition    Condition = "undefined-condition"
	CondUnexpectedRequest     Condition = "unexpected-request"

	// CondPaymentRequired was defined by RFC 3920 and is gone from RFC 6120. It is
	// understood from old peers and never sent.
	CondPaymentRequired Condition = "payment-required"
)

// defaultTypes gives each condition the type that RFC 6120 §8.3.3 asks for.
var defaultTypes = map[Condition]ErrorType{
	CondBadRequest:            TypeModify,
	CondConflict:              TypeCancel,
	CondFeatureNotImplemented: TypeCancel,
	CondForbidden:             TypeAuth,
	CondGone:                  TypeCancel,
	CondInternalServerError:   TypeCancel,
	CondItemNotFound:          TypeCancel,
	CondJIDMalformed:          TypeModify,
	CondNotAcceptable:         TypeModify,
	CondNotAllowed:            TypeCancel,
	CondNotAuthorized:         TypeAuth,
	CondPaymentRequired:       TypeAuth, // RFC 3920 §9.3.3
	CondPolicyViolation:       TypeModify,
	CondRecipientUnavailable:  TypeWait,
	CondRedirect:              TypeModify,
	CondRegistrationRequired:  TypeAuth,
	CondRemoteServerNotFound:  TypeCancel,
	CondRemoteServerTimeout:   TypeWait,
	CondResourceConstraint:    TypeWait,
	CondServiceUnavailable:    TypeCancel,
	CondSubscriptionRequired:  TypeAuth,
	CondUndefinedCondition:    TypeCancel,
	CondUnexpectedRequest:     TypeWait,
}

// Conditions are all of them, in the order of the alphabet.
func Conditions() []Condition { return slices.Sorted(maps.Keys(defaultTypes)) }

// Known reports whether c is a defined condition. Anything else in the place of
// a condition counts as undefined-condition (RFC 6120 §8.3.2).
func (c Condition) Known() bool {
	_, ok := defaultTypes[c]
	return ok
}

// DefaultType is the error type that RFC 6120 §8.3.3 gives to c; cancel if c is
// not a defined condition.
func (c Condition) DefaultType() ErrorType {
	if t, ok := defaultTypes[c]; ok {
		return t
	}
	return TypeCancel
}

// Known reports whether t is one of the five error types.
func (t ErrorType) Known() bool {
	switch t {
	case TypeAuth, TypeCancel, TypeContinue, TypeModify, TypeWait:
		return true
	}
	return false
}
