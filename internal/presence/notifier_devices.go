package presence

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/stoxgw/stox/mapping"
)

// What users show to contacts that they let see them, as they show it to each: nothing of it
// is ever used for another contact (SEC-17, PRES-25).

// Bounds of it. What is beyond them is not remembered, and texts are shortened before that.
const (
	maxShown      = 16      // resources in one relation
	maxShownOf    = 1024    // of one user, in all relations
	maxShownAll   = 100_000 // in all
	maxShownText  = 1024    // bytes of the texts of one
	maxShownTexts = 32 << 20
)

// cache counts what is known of users' devices.
type cache struct {
	of   map[mapping.JID]int // by user
	all  int
	text int // bytes
}

func newCache() cache { return cache{of: make(map[mapping.JID]int)} }

// devices is what a user shows to a contact, and what was asked of him for it.
type devices struct {
	// known are his resources, in the order in which they have come. If none is available
	// there is one that is not: the last one that was. Without any nothing is known.
	known   []device
	version uint32 // another one whenever known changes

	asked    time.Time // when he was asked whether the contact may see him
	inquired time.Time // ... and how he is; zero if that is to be done anew
	waiting  bool      // to be asked how he is: it is in probes
	resumed  bool      // there are watchers whom an earlier run may have told something
	answers  timer     // when what was asked has been answered
}

// device is a resource of a user.
type device struct {
	mapping.Resource
	stale bool // said before the link was lost
}

func (d *device) text() int {
	n := len(d.Name)
	for _, t := range d.Status {
		n += len(t.Lang) + len(t.Value)
	}
	return n
}

// same reports whether d looks like o. When that was said does not count.
func (d *device) same(o *device) bool {
	return d.Open == o.Open && d.Show == o.Show && d.Priority == o.Priority && d.HasPriority == o.HasPriority &&
		d.Idle.Equal(o.Idle) && slices.Equal(d.Status, o.Status)
}

// undecided reports whether the user is asked whether the contact may see him, and a watcher
// waits for what he says.
func (r *relation) undecided(p *Policy) bool {
	return r.state&WatcherAsked != 0 && len(r.watchers) > 0 && !p.ignores(r.pair)
}

// readDevice reads what v shows. It keeps nothing of the memory of v.
func readDevice(v *mapping.XMPPPresence) device {
	d := device{Resource: mapping.Resource{Name: strings.Clone(v.From.Resource()), Open: v.Type == mapping.Available}}
	s := v.Shows
	if s == nil {
		return d
	}
	if d.Open {
		d.Show = mapping.Show(strings.Clone(string(mapping.ParseShow(string(s.Show)))))
		d.Priority, d.HasPriority, d.Idle = s.Priority, s.HasPriority, s.Idle
	}
	d.Since = s.Since
	room := maxShownText
	for _, t := range s.Status {
		if t.Lang == "" {
			t.Lang = v.Lang
		}
		if room -= len(t.Lang); room <= 0 {
			break
		}
		n := min(len(t.Value), room)
		for n < len(t.Value) && n > 0 && !utf8.RuneStart(t.Value[n]) {
			n--
		}
		room -= n
		d.Status = append(d.Status, mapping.Text{Lang: strings.Clone(t.Lang), Value: strings.Clone(t.Value[:n])})
	}
	return d
}

// shown takes what a user shows to a contact. e.mu is held.
//
// Nothing is in order between his devices (RFC 6120 §10.1): when he decides on one of them, a
// server may pass on what another one shows before the decision itself. While he is asked it is
// therefore kept, and told to nobody until he has let the contact see him.
func (e *Engine) shown(out *work, v *mapping.XMPPPresence) {
	r := e.relations.find(v.From, v.To)
	if r == nil || !out.policy.lets(r.pair) {
		return
	}
	if !r.sees(out.policy) {
		// That a device that is kept is gone is taken in any case.
		if v.Type == mapping.Available && !r.undecided(out.policy) || v.Type != mapping.Available && len(r.devices.known) == 0 {
			return
		}
		e.log.Debug("a user shows himself to a contact that he has not let see him yet", "dir", "xmpp-sip", "from", r.user, "to", r.contact)
	}
	d := readDevice(v)
	if d.Open {
		e.came(out, r, d)
	} else {
		e.went(out, r, d)
	}
}

// came takes that a device is there, or is otherwise than before. e.mu is held.
func (e *Engine) came(out *work, r *relation, d device) {
	ds := &r.devices
	i := slices.IndexFunc(ds.known, func(o device) bool { return o.Name == d.Name })
	if i >= 0 && ds.known[i].same(&d) {
		ds.known[i].stale = false
		return
	}
	if i < 0 && ds.gone() { // the one that stands for all that are not there
		e.uncount(r, ds.known)
		ds.known = nil
	}
	if i < 0 {
		if !e.deviceFits(r) {
			e.tally.Unseen++
			return
		}
		ds.known = append(ds.known, device{})
		i = len(ds.known) - 1
	} else {
		e.uncount(r, ds.known[i:i+1])
	}
	if e.notifier.cache.text+d.text() > maxShownTexts {
		d.Status = nil
	}
	ds.known[i] = d
	e.countDevice(r, &d)
	e.changed(out, r)
}

// went takes that a device is gone, or all of them if it has no name. e.mu is held.
func (e *Engine) went(out *work, r *relation, d device) {
	ds := &r.devices
	if ds.gone() {
		ds.known[0].stale = false
		return
	}
	name := d.Name
	is := func(o device) bool { return name == "" || o.Name == name }
	if len(ds.known) > 0 && !slices.ContainsFunc(ds.known, is) {
		return
	}
	if name == "" && len(ds.known) > 0 {
		d.Name = ds.known[0].Name
	}
	e.remove(out, r, is, d)
}

// remove removes devices. If none is left, last stands for all of them. e.mu is held.
func (e *Engine) remove(out *work, r *relation, is func(device) bool, last device) {
	ds := &r.devices
	e.uncount(r, ds.known)
	ds.known = slices.DeleteFunc(ds.known, is)
	switch {
	case len(ds.known) > 0:
	case !e.deviceFits(r):
		e.tally.Unseen++
	default:
		if e.notifier.cache.text+last.text() > maxShownTexts {
			last.Status = nil
		}
		ds.known = []device{last}
	}
	for i := range ds.known {
		e.countDevice(r, &ds.known[i])
	}
	e.changed(out, r)
}

// gone reports whether it is known that none is there.
func (ds *devices) gone() bool { return len(ds.known) == 1 && !ds.known[0].Open }

// changed has watchers told. e.mu is held.
func (e *Engine) changed(out *work, r *relation) {
	r.devices.version++
	for _, w := range r.watchers {
		e.readyWatcher(out, w)
	}
}

// deviceFits reports whether there is room for one more device. e.mu is held.
func (e *Engine) deviceFits(r *relation) bool {
	c := &e.notifier.cache
	room := maxShownAll
	if len(r.watchers) == 0 {
		room -= room / 4 // is for those whom somebody watches
	}
	return len(r.devices.known) < maxShown && c.of[r.user] < maxShownOf && c.all < room
}

func (e *Engine) countDevice(r *relation, d *device) {
	c := &e.notifier.cache
	c.all++
	c.of[r.user]++
	c.text += d.text()
}

func (e *Engine) uncount(r *relation, ds []device) {
	c := &e.notifier.cache
	for i := range ds {
		c.all--
		less(c.of, r.user)
		c.text -= ds[i].text()
	}
}

// unknown forgets what a user has shown to a contact. e.mu is held.
func (e *Engine) unknown(r *relation) {
	e.uncount(r, r.devices.known)
	r.devices.known, r.devices.resumed = nil, false
	r.devices.version++
	e.timers.stop(&r.devices.answers)
}

// document puts into v what the user shows to the contact of r; or, if he is to be seen no
// longer, that all of it is closed.
func (w *work) document(v *mapping.SIPNotify, r *relation, to *watcher, closed bool) {
	entity, err := w.policy.Rules.SIPIdentity(r.user, to.them.Host)
	if err != nil {
		entity = to.us
	}
	entity.GR = ""
	shows := make([]mapping.Resource, 0, len(r.devices.known))
	lang, langs := "", 0
	for _, d := range r.devices.known {
		if closed {
			d.Resource = mapping.Resource{Name: d.Name}
		}
		for _, t := range d.Status {
			if langs == 0 || t.Lang != lang {
				lang = t.Lang
				langs++
			}
		}
		shows = append(shows, d.Resource)
	}
	if langs == 1 {
		v.Lang = lang // PRES-15
	}
	v.ContentType = mapping.TypePIDF
	v.Body = mapping.AppendPIDF(nil, entity, shows, mapping.PIDFOptions{})
}
