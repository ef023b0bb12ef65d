package app

import (
	"runtime"
	"slices"
	"strconv"
	"time"

	"github.com/stoxgw/stox/component"
	"github.com/stoxgw/stox/internal/bridge"
	"github.com/stoxgw/stox/internal/hist"
	m "github.com/stoxgw/stox/internal/metrics"
	"github.com/stoxgw/stox/internal/presence"
	"github.com/stoxgw/stox/internal/version"
	"github.com/stoxgw/stox/internal/wire"
	"github.com/stoxgw/stox/mapping"
	"github.com/stoxgw/stox/sipside"
)

// gather puts down what the parts have counted. It holds none of their locks for longer than
// it takes to copy that, and does not ask the disk.
func (a *App) gather(b *m.Batch) {
	now := time.Now()
	a.gatherDaemon(b, now)
	a.gatherLinks(b)
	a.gatherMessages(b)
	gatherDesk(b, a.desk.Stats())
	a.gatherJournal(b, now)
	a.gatherSIP(b)
	gatherWire(b, a.wire.Stats(), a.spans)
	gatherPresence(b, a.presence.Tally())
	a.gatherRoutes(b)
}

func (a *App) gatherDaemon(b *m.Batch, now time.Time) {
	b.Put(m.BuildInfo, 1, version.String(), runtime.Version())
	h := a.watch.health(now)
	for _, c := range h.Checks {
		b.Flag(m.CheckOK, c.OK, c.Name)
	}
	b.Put(m.Denied, float64(a.web.Denied()))
}

var linkStates = []string{
	string(component.StateIdle), string(component.StateConnecting), string(component.StateUp),
	string(component.StateDown), string(component.StateSplit), string(component.StateStopped),
}

func (a *App) gatherLinks(b *m.Batch) {
	for i, c := range a.xmpp.all {
		name, status, s := a.xmpp.names[i], c.Status(), c.Stats()
		b.Flag(m.LinkUp, status.State == component.StateUp, name)
		b.State(m.LinkState, string(status.State), linkStates, name)
		b.Put(m.LinkSince, seconds(status.Since), name)
		b.Put(m.LinkConnects, float64(s.Connected), name)
		for reason, n := range s.Failures {
			b.Put(m.LinkFailures, float64(n), name, reason)
		}
		b.Put(m.Barriers, float64(s.Barriers), name)
		b.Histogram(m.BarrierTrip, &s.Trips, hist.Seconds, name)
		b.Put(m.Pending, float64(s.Pending), name)
		b.Put(m.Unwritten, float64(s.Unwritten), name)
		b.Put(m.LinkUncertain, float64(s.Uncertain), name)
		b.Put(m.LinkRewritten, float64(s.Rewritten), name)
		b.Put(m.LateBounces, float64(s.LateBounces), name)
		b.Put(m.Suspended, float64(s.Suspended), name)
	}
}

func (a *App) gatherMessages(b *m.Batch) {
	s := a.bridge.Stats()
	gatherFlow(b, m.ToSIP, &s.ToSIP)
	gatherFlow(b, m.ToXMPP, &s.ToXMPP)
	// What comes from XMPP ends with an answer of SIP or with an error; what comes from SIP
	// may end without anybody knowing how.
	b.Put(m.Messages, float64(s.ToXMPP.Unknown), m.ToXMPP, "unknown")
	b.Put(m.Messages, float64(s.ToXMPP.Uncertain), m.ToXMPP, "uncertain")
	b.Put(m.Early, float64(s.Early))
	b.Put(m.Retries, float64(s.Retries))
	b.Put(m.RateLimited, float64(s.TooFast))
	b.Put(m.Unwanted, float64(s.Prefix), m.ToSIP, "prefix")
	b.Put(m.Unwanted, float64(s.Daily), m.ToSIP, "daily")
	b.Put(m.Unwanted, float64(s.Denied.Blocked), m.ToSIP, "block")
	b.Put(m.Unwanted, float64(s.Denied.Unwanted), m.ToXMPP, "block")
	admins, users := a.blocks.Count()
	b.Put(m.Blocked, float64(admins), "admin")
	b.Put(m.Blocked, float64(users), "user")
	b.Put(m.SignalsLost, float64(s.Signals))
	b.Put(m.Repeats, float64(s.Joined), "pending")
	b.Put(m.Repeats, float64(s.Repeated), "finished")
	b.Put(m.LateErrors, float64(s.Late))
	b.Put(m.LateTold, float64(s.LateTold))
	gatherNotices(b, m.ToSIP, s.ReceiptsToSIP)
	gatherNotices(b, m.ToXMPP, s.ReceiptsToXMPP)
	b.Put(m.Typing, float64(s.TypingToSIP), m.ToSIP)
	b.Put(m.Typing, float64(s.TypingToXMPP), m.ToXMPP)

	b.Put(m.QueueWaiting, float64(s.Waiting), "memory")
	b.Put(m.QueueWaiting, float64(s.Stored), "store")
	b.Put(m.QueueMemory, float64(s.Bytes))
	b.Put(m.Lanes, float64(s.Open), "busy")
	b.Put(m.Lanes, float64(max(s.Lanes-s.Open, 0)), "waiting")
	b.Put(m.LanesStarved, float64(s.Starved))
	b.Put(m.Unjournaled, float64(s.Unjournaled))
	b.Put(m.IncomingRequests, float64(s.Incoming))
	b.Put(m.Reports, float64(s.Reports))
}

func gatherFlow(b *m.Batch, direction string, f *bridge.Flow) {
	b.Put(m.Messages, float64(f.Delivered), direction, "delivered")
	b.Put(m.Messages, float64(f.Failed), direction, "failed")
	b.Put(m.Messages, float64(f.Refused), direction, "refused")
	for _, c := range mapping.Conditions() { // also those that have not happened: a rate needs a beginning
		b.Put(m.Failures, float64(f.Reasons[c]), direction, string(c))
	}
	b.Histogram(m.Delivery, &f.Took, hist.Seconds, direction)
}

func gatherNotices(b *m.Batch, direction string, n bridge.Notices) {
	b.Put(m.Receipts, float64(n.Delivered), direction, "delivered")
	b.Put(m.Receipts, float64(n.Displayed), direction, "displayed")
	b.Put(m.Receipts, float64(n.Failed), direction, "failed")
}

func (a *App) gatherJournal(b *m.Batch, now time.Time) {
	s, disk := a.journal.store.Stats(), a.watch.diskState()
	b.Flag(m.JournalWritable, s.Failing == nil)
	b.Histogram(m.CommitTime, &s.CommitTime, hist.Seconds)
	b.Histogram(m.CommitRows, &s.CommitRows, hist.Sizes)
	b.Put(m.CommitFaults, float64(s.Faults))
	b.Put(m.RowsWritten, float64(s.Written))
	b.Put(m.RowsSkipped, float64(s.Skipped))
	b.Put(m.RowsDropped, float64(s.Dropped))
	b.Put(m.RowsWaiting, float64(s.Waiting))
	b.Put(m.StoreBytes, float64(disk.database), "database")
	b.Put(m.StoreBytes, float64(disk.wal), "wal")

	b.Put(m.QueueMessages, float64(s.Entries))
	b.Put(m.QueueBytes, float64(s.Bytes))
	oldest := disk.oldest
	if s.Entries == 0 {
		oldest = time.Time{} // it has gone since
	}
	age := 0.0
	if !oldest.IsZero() {
		age = max(now.Sub(oldest).Seconds(), 0)
	}
	b.Put(m.QueueOldest, age)
}

var statusClasses = [...]string{"1xx", "2xx", "3xx", "4xx", "5xx", "6xx"}

func (a *App) gatherSIP(b *m.Batch) {
	s, load := a.sip.Stats(), a.sip.Load()
	for _, t := range s.Traffic() {
		always := t.Method == sipside.Methods[0] // of the others most never come
		for i, class := range statusClasses {
			if always || t.Sent[i] > 0 {
				b.Put(m.ResponsesSent, float64(t.Sent[i]), t.Method, class)
			}
			if always || t.Received[i] > 0 {
				b.Put(m.ResponsesReceived, float64(t.Received[i]), t.Method, class)
			}
		}
		if always || t.Unanswered > 0 {
			b.Put(m.NoResponse, float64(t.Unanswered), t.Method)
		}
		if always || t.Unsent > 0 {
			b.Put(m.NotSent, float64(t.Unsent), t.Method)
		}
	}
	b.Put(m.SIPPending, float64(load.Incoming), "server")
	b.Put(m.SIPPending, float64(load.Outgoing), "client")
	b.Put(m.SIPConnections, float64(load.Accepted), "peer")
	b.Put(m.SIPConnections, float64(load.Dialled), "stox")
	b.Put(m.SIPMalformed, float64(s.Malformed.Load()))
	b.Put(m.SIPRefused, float64(s.Refused.Load()))
	b.Put(m.SIPStrangers, float64(s.Strangers.Load()))
	b.Put(m.SIPBlocked, float64(s.Blocked.Load()))
	b.Put(m.SIPGuesses, float64(s.Guesses.Load()))
	b.Put(m.SIPLimited, float64(s.Limited.Load()))
	b.Put(m.SIPUnmatched, float64(s.Unmatched.Load()))
	b.Put(m.SIPDropped, float64(s.Dropped.Load()))
	b.Put(m.SIPPanics, float64(s.Panics.Load()))
}

func gatherWire(b *m.Batch, s wire.Stats, spans *wire.Spans) {
	var of wire.SpanStats
	if spans != nil {
		of = spans.Stats()
	}
	b.Put(m.SpansSent, float64(of.Sent))
	b.Put(m.SpansDropped, float64(of.Dropped))
	b.Put(m.WireLogged, float64(s.Logged))
	b.Put(m.WireCopied, float64(s.Copied))
	b.Put(m.WireDropped, float64(s.Dropped))
}

func gatherPresence(b *m.Batch, t presence.Tally) {
	b.Put(m.PresenceRelations, float64(t.Relations))
	b.Put(m.PresenceSubscriptions, float64(t.Watched), "user")
	b.Put(m.PresenceSubscriptions, float64(t.Watchers), "contact")
	b.Put(m.PresenceWaiting, float64(t.Waiting))
	b.Put(m.PresenceDevices, float64(t.Devices))
	b.Put(m.PresencePublications, float64(t.Publications), "user")
	b.Put(m.PresencePublications, float64(t.Published), "contact")
	for _, r := range []struct {
		method       string
		sent, failed uint64
	}{{"SUBSCRIBE", t.Subscribes, t.Failed}, {"NOTIFY", t.Notified, t.NotNotified}, {"PUBLISH", t.Publishes, t.NotPublished}} {
		b.Put(m.PresenceSent, float64(r.sent), r.method)
		b.Put(m.PresenceFailed, float64(r.failed), r.method)
	}
	b.Put(m.PresenceNotifies, float64(t.Notifies), "taken")
	b.Put(m.PresenceNotifies, float64(t.Stale), "refused")
	b.Put(m.PresenceRefused, float64(t.Refused))
	b.Put(m.PresenceAsked, float64(t.Asks), "subscribe")
	b.Put(m.PresenceAsked, float64(t.Probes), "probe")
	b.Put(m.PresenceAsked, float64(t.NotAsked), "suppressed")
	b.Put(m.PresenceDropped, float64(t.Unseen))
}

var (
	probeStates        = []string{string(sipside.Alive), string(sipside.Dead), string(sipside.Unsure)}
	registrationStates = []string{"registered", "lost", "refused", "ending", "trying"}
)

func (a *App) gatherRoutes(b *m.Batch) {
	states := make(map[string]int)
	for _, r := range a.sip.Routes() {
		d := describeRoute(r)
		labels := []string{strconv.Itoa(r.Index), r.Domain}
		b.State(m.RouteState, string(r.Probe), probeStates, labels...)
		b.Put(m.RouteTrip, r.RTT.Seconds(), labels...)
		if !r.Register {
			continue
		}
		b.Flag(m.RouteRegistered, r.Registered, labels...)
		if !r.Until.IsZero() {
			b.Put(m.RouteExpires, seconds(r.Until), labels...)
		}
		if slices.Contains(registrationStates, d.Registration) {
			states[d.Registration]++
		}
	}
	for _, s := range registrationStates {
		b.Put(m.Registrations, float64(states[s]), s)
	}
	for i, n := range a.sip.Accounts() {
		b.Put(m.Accounts, float64(n), sipside.AccountStates[i])
	}
}

// seconds is a time as Prometheus has it.
func seconds(t time.Time) float64 { return float64(t.UnixNano()) / 1e9 }
