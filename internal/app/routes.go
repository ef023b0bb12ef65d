package app

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/stoxgw/stox/internal/admin"
	"github.com/stoxgw/stox/internal/config"
	"github.com/stoxgw/stox/sipside"
)

var _ admin.Routed = (*liveQueue)(nil)

// Routes tells of each route with a next hop, in the order of the configuration.
func (q *liveQueue) Routes(context.Context) ([]admin.Route, error) {
	all := q.sip.Routes()
	out := make([]admin.Route, 0, len(all))
	for _, s := range all {
		out = append(out, describeRoute(s))
	}
	return out, nil
}

func describeRoute(s sipside.RouteState) admin.Route {
	r := admin.Route{
		Domain: s.Domain, Via: s.Via, Registered: s.Registered, Server: s.Server, Since: s.Since, Until: s.Until, Status: s.LastStatus, Reason: s.Reason,
		Answers: string(s.Probe), AnswersSince: s.ProbeSince, Problem: s.ProbeReason, RTT: float64(s.RTT) / float64(time.Millisecond),
	}
	if s.Register {
		if r.Registration = s.State; s.State == "" {
			r.Registration = "trying"
		}
	}
	return r
}

// instance is the URN by which registrars know this gateway again (RFC 5626 §4.1): the same
// after each start, and nothing can be learned from it.
func instance(cfg *config.Config) string {
	mac := hmac.New(sha256.New, []byte(cfg.XMPP.Secret.Reveal()))
	mac.Write([]byte("stox sip instance " + cfg.XMPP.Domain))
	b := mac.Sum(nil)
	b[6] = b[6]&0x0f | 0x80 // version 8: of one's own making (RFC 9562 §5.8)
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:16])
}
