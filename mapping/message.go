package mapping

import (
	"errors"
	"fmt"
)

// ToSIP translates v: none, one or several values (nothing to say is no error).
// An error is a *Failure.
func (r *Rules) ToSIP(v XMPP) ([]SIP, error) {
	switch v := v.(type) {
	case *XMPPMessage:
		out, f := r.messageToSIP(v)
		if f != nil {
			return nil, f
		}
		return out, nil
	case *XMPPState:
		m, f := r.stateToSIP(v)
		if f != nil {
			return nil, f
		}
		if m == nil {
			return nil, nil
		}
		return []SIP{m}, nil
	case *XMPPError, *XMPPReceipt:
		return nil, nil // neither is a message (IM-08, ERR-11); what a receipt is about only the bridge knows
	}
	return nil, FailInternal(fmt.Errorf("mapping: no SIP form for %T", v))
}

// ToXMPP translates v: none, one or several values (nothing to say is no error).
// An error is a *Failure.
func (r *Rules) ToXMPP(v SIP) ([]XMPP, error) {
	if v, ok := v.(*SIPMessage); ok {
		out, f := r.messageToXMPP(v)
		if f != nil {
			return nil, f
		}
		return out, nil
	}
	return nil, FailInternal(fmt.Errorf("mapping: no XMPP form for %T", v))
}

// asFailure returns the *Failure in err. Whatever else it might be is a fault of
// ours.
func asFailure(err error) *Failure {
	var f *Failure
	if errors.As(err, &f) && f != nil {
		return f
	}
	return FailInternal(err)
}
