package presence

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// A publication is at the server for up to an hour, whatever becomes of the process: the next
// run goes on with it, or there would be two of them until the old one ends.

// publicationForm is the second byte of Dialog.Data.
const publicationForm = 1

// publicationRow is what the book keeps of one.
type publicationRow struct {
	User, Name, Entity  string
	Domain, Hop, Server string // Server is its Name
	ETag                string
	Until               int64 // seconds since 1970
	Asked               int
}

func (p *publication) key() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%s\n%s\n%s", p.user.user, p.user.contact, p.entity, p.server.Hop))
	return fmt.Sprintf("%c%x", dialogOfPublisher, sum[:16])
}

// keepPublication has the book keep p. e.mu is held.
func (e *Engine) keepPublication(out *work, p *publication) {
	row, err := json.Marshal(publicationRow{User: p.user.user.String(), Name: p.user.contact.String(), Entity: p.entity.String(),
		Domain: p.server.Domain, Hop: p.server.Hop, Server: p.server.Name.String(), ETag: p.etag, Until: p.until.Unix(), Asked: p.asked})
	if err != nil {
		return // strings and numbers can be written
	}
	p.kept = true
	out.dialogs = append(out.dialogs, Dialog{Key: p.key(), Expires: p.until, Data: append([]byte{dialogOfPublisher, publicationForm}, row...)})
}

// forgetPublication has the book forget it. e.mu is held.
func (e *Engine) forgetPublication(out *work, p *publication) {
	if p.kept {
		p.kept = false
		out.dialogs = append(out.dialogs, Dialog{Key: p.key()})
	}
}

// restorePublication takes one that an earlier run has kept. It is as it was until the user
// has said how he is; or it is withdrawn, if he does not let it be published any more. What
// the row says of its end is believed only if it is not far ahead: the clock may have been
// set. e.mu is held.
func (e *Engine) restorePublication(out *work, d Dialog) {
	p, ok := readPublication(d.Data)
	left := min(p.until.Sub(out.now), publishLongest*time.Second)
	var u *exposed
	if ok && left > 0 {
		u = e.userOf(p.user.pair)
	}
	if u == nil || u.at(p.server, p.entity) != nil || e.publisher.all >= maxPublications {
		if u != nil {
			e.tidyExposed(u)
		}
		out.dialogs = append(out.dialogs, Dialog{Key: d.Key})
		return
	}
	added := e.addPublication(u, p.server, p.entity)
	added.etag, added.asked, added.kept = p.etag, p.asked, true
	added.until = out.now.Add(left)
	added.refresh = out.now.Add(left / 2)
	u.unsure = e.mayPublish(out.policy, u.pair)
	e.at(out, &added.timer, out.now, func(out *work) { e.republish(out, u) })
	if u.unsure { // in case that there is no link for as long
		e.at(out, &u.timer, added.until, func(out *work) { e.sure(out, u) })
	}
}

// readPublication reads a row: Data of a publication, without what belongs to this process.
func readPublication(b []byte) (p publication, ok bool) {
	var row publicationRow
	if len(b) < 2 || b[0] != dialogOfPublisher || b[1] != publicationForm || json.Unmarshal(b[2:], &row) != nil {
		return publication{}, false
	}
	user, err := mapping.ParseJID(row.User)
	name, err2 := mapping.ParseJID(row.Name)
	entity, err3 := mapping.ParseURI(row.Entity)
	server, err4 := mapping.ParseJID(row.Server)
	if err != nil || err2 != nil || err3 != nil || err4 != nil || row.ETag == "" || row.Asked <= 0 || row.Asked > publishLongest {
		return publication{}, false
	}
	return publication{user: &exposed{pair: pair{user.Bare(), name.DomainJID()}}, server: Server{Domain: row.Domain, Hop: row.Hop, Name: server},
		entity: entity, etag: row.ETag, until: time.Unix(row.Until, 0), asked: row.Asked}, true
}
