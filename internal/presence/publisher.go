package presence

import "github.com/stoxgw/stox/mapping"

// takePublish takes a PUBLISH. e.mu is held.
func (e *Engine) takePublish(out *work, ref any, v *mapping.SIPPublish) {
	out.refuse(ref, mapping.FailMethod())
}
