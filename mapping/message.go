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
		m, f := r.messageToSIP(v)
		if f != nil {
			return nil, f
		}
		if m == nil {
			return nil, nil
		}
		return []SIP{m}, nil
	case *XMPPError:
		return nil, nil // an error is never answered and never becomes a request (IM-08, ERR-11)
	}
	return nil, FailInternal(fmt.Errorf("mapping: no SIP form for %T", v))
}

// ToXMPP translates v: none, one or several values (nothing to say is no error).
// An error is a *Failure.
func (r *Rules) ToXMPP(v SIP) ([]XMPP, error) {
	if v, ok := v.(*SIPMessage); ok {
		m, f := r.messageToXMPP(v)
		if f != nil {
			return nil, f
		}
		if m == nil {
			return nil, nil
		}
		return []XMPP{m}, nil
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
