package mapping

import (
	"slices"
	"strings"
	"time"
)

// Document is what a presence document says (RFC 3863): of services, its tuples, and of the
// person and the devices behind them (RFC 4479). It is a value that is not changed.
type Document struct {
	Entity URI    // whom it says it is about, zero if that is no address; it proves nothing
	Notes  []Text // on all of it, one for each language

	tuples  []part // each with a name of its own
	person  part
	devices []part // those that have an id
}

// part is what is said of one of them.
type part struct {
	name   string // of a tuple: its resource
	device string // the id of a device, or of the one that a tuple is on

	basic    basic
	show, im Show   // the extensions of RFC 8048 and RFC 3922
	doing    Show   // by the activities
	busy     bool   // there is an activity, be it one that stands for no show
	notes    []Text // one for each language
	remarks  []Text // on the activities, for what has no notes

	priority    int8
	hasPriority bool
	idle, since time.Time
	active      bool // it is in use, so nobody else's idle is its own
}

// basic is the status of a tuple, the better the greater.
type basic int8

const (
	basicNone basic = iota
	basicClosed
	basicOpen
)

// setBasic reads a basic status. Other words than the two are nothing said.
func (p *part) setBasic(s string) {
	if p.basic != basicNone {
		return
	}
	switch lower(strings.TrimSpace(s)) {
	case "open":
		p.basic = basicOpen
	case "closed":
		p.basic = basicClosed
	}
}

// activity notes that one is there, by its name.
func (p *part) activity(name string) {
	switch name {
	case "note", "activity", "unknown", "":
		return
	}
	p.busy = true
	if p.doing == ShowNone {
		p.doing = readActivity(name)
	}
}

// add adds what an extension says, where nothing was said before.
func (p *part) add(says *part) {
	p.show, p.im, p.doing = firstShow(p.show, says.show), firstShow(p.im, says.im), firstShow(p.doing, says.doing)
	p.busy = p.busy || says.busy
	if p.idle.IsZero() {
		p.idle = says.idle
	}
	p.active = p.active || says.active
	for _, t := range says.notes { // those within activities
		p.remarks = addText(p.remarks, t)
	}
}

// availability is what is said by whichever of the ways there are.
func (p *part) availability() Show { return firstShow(p.show, p.im, p.doing) }

// texts are the notes, else those on the activities.
func (p *part) texts() []Text {
	if len(p.notes) > 0 {
		return p.notes
	}
	return p.remarks
}

// speaks reports whether p says anything but its basic status.
func (p *part) speaks() bool {
	return p.availability() != ShowNone || p.busy || len(p.texts()) > 0 || !p.idle.IsZero()
}

func firstShow(shows ...Show) Show {
	for _, s := range shows {
		if s != ShowNone {
			return s
		}
	}
	return ShowNone
}

// addTuple adds a tuple. Of two for one resource the open one counts, else the first: that
// the ids of a document differ is what not every server sees to that puts several together.
func (d *Document) addTuple(p *part) {
	for i := range d.tuples {
		if d.tuples[i].name == p.name {
			if p.basic > d.tuples[i].basic {
				d.tuples[i] = *p
			}
			return
		}
	}
	if len(d.tuples) < maxTuples {
		d.tuples = append(d.tuples, *p)
	}
}

// deviceOf is the device that a tuple is on; one that says nothing if it is on none.
func (d *Document) deviceOf(t *part) *part {
	for i := range d.devices {
		if t.device == d.devices[i].device {
			return &d.devices[i]
		}
	}
	return &part{}
}

// Resources are what is to be shown of d (RFC 8048 Table 2, PRES-16): one for each tuple, or
// one for the bare JID if there is no tuple (PRES-21). What a tuple does not say of itself is
// as its device says, else the person; the notes on the document come last.
//
// A tuple without a basic status makes no statement of its own: it is open if it says anything
// else, as is one that is alone with what is said of the person. It is left out where others
// do make a statement; and if nothing is said at all it is closed.
func (d *Document) Resources() []Resource {
	about := d.person.speaks() || len(d.Notes) > 0
	stated := slices.ContainsFunc(d.tuples, func(t part) bool { return t.basic != basicNone || t.speaks() })
	out := make([]Resource, 0, max(len(d.tuples), 1))
	for i := range d.tuples {
		t := &d.tuples[i]
		is := t.basic
		switch {
		case is != basicNone:
		case t.speaks() || about && !stated:
			is = basicOpen
		case stated:
			continue
		}
		out = append(out, d.resource(t, is == basicOpen))
	}
	if len(out) == 0 {
		is := d.person.basic
		if is == basicNone && about {
			is = basicOpen
		}
		out = append(out, d.resource(&part{}, is == basicOpen))
	}
	return out
}

// resource is what is to be shown of a tuple. Who is not there is neither away nor idle.
func (d *Document) resource(t *part, isOpen bool) Resource {
	device := d.deviceOf(t)
	r := Resource{Name: t.name, Open: isOpen, Since: t.since, Status: d.Notes}
	for _, texts := range [][]Text{t.texts(), device.texts(), d.person.texts()} {
		if len(texts) > 0 {
			r.Status = texts
			break
		}
	}
	if !isOpen {
		return r
	}
	r.Show = firstShow(t.availability(), device.availability(), d.person.availability())
	r.Priority, r.HasPriority = t.priority, t.hasPriority
	for _, p := range []*part{t, device, &d.person} {
		if r.Idle = p.idle; p.active || !r.Idle.IsZero() {
			break
		}
	}
	return r
}

// ComposePIDF puts the documents together that several user agents have published of one
// presentity, the oldest first (RFC 3903 §3.3, PRES-29): the tuples of all of them, and where
// two have a tuple of the same name that of the later one; what is said of the person, and the
// notes, as the latest has them that has any. Its tuples are those of the latest first, 64 of
// them at most.
func ComposePIDF(documents ...*Document) *Document {
	all := &Document{}
	for _, d := range slices.Backward(documents) {
		for _, t := range d.tuples {
			known := slices.ContainsFunc(all.tuples, func(o part) bool { return o.name == t.name })
			if !known && len(all.tuples) < maxTuples {
				all.tuples = append(all.tuples, t)
			}
		}
		for _, t := range d.devices {
			known := slices.ContainsFunc(all.devices, func(o part) bool { return o.device == t.device })
			if !known && len(all.devices) < maxTuples {
				all.devices = append(all.devices, t)
			}
		}
		if all.Entity.IsZero() {
			all.Entity = d.Entity
		}
		if !all.person.speaks() {
			all.person = d.person
		}
		if len(all.Notes) == 0 {
			all.Notes = d.Notes
		}
	}
	return all
}

// PresenceChanges are what has become of resources since they were shown before.
type PresenceChanges struct {
	Gone    []Resource // were available and are not listed any more; not Open, and with nothing but their names
	Changed []Resource // new, or different in anything but Since
	Same    []Resource // as before
}

// CompareResources says what has changed from before to now, each of which has all that there
// is (PRES-21). The order is that of the arguments.
func CompareResources(before, now []Resource) (c PresenceChanges) {
	was := make(map[string]*Resource, len(before))
	for i := range before {
		was[before[i].Name] = &before[i]
	}
	for i := range now {
		r := &now[i]
		if old := was[r.Name]; old != nil && old.shows(r) {
			c.Same = append(c.Same, *r)
		} else {
			c.Changed = append(c.Changed, *r)
		}
		delete(was, r.Name)
	}
	for i := range before {
		if r := was[before[i].Name]; r != nil && r.Open {
			c.Gone = append(c.Gone, Resource{Name: r.Name})
			delete(was, r.Name)
		}
	}
	return c
}

// shows reports whether r looks the same as o. Since is when somebody said so, and is not
// shown.
func (r *Resource) shows(o *Resource) bool {
	return r.Open == o.Open && r.Show == o.Show && r.Priority == o.Priority && r.HasPriority == o.HasPriority &&
		r.Idle.Equal(o.Idle) && slices.Equal(r.Status, o.Status)
}
