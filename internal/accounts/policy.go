package accounts

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/stoxgw/stox/mapping"
)

// maxTold bounds how many accounts are logged one by one.
const maxTold = 20

// Restore takes what an earlier run has kept. Call it before Start; it may be called in
// batches.
func (e *Engine) Restore(batch []Record) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, r := range batch {
		aor, err := mapping.ParseURI(r.AOR)
		if err != nil { // the file was written to by others
			e.log.Error("the SIP account of a user cannot be read; it is kept as it is", "user", r.User, "remedy", remedyLocked)
			continue
		}
		e.byUser[r.User] = &entry{user: r.User, aor: aor, text: r.AOR, since: r.Since, sealed: slices.Clone(r.Sealed)}
	}
}

const remedyLocked = "add the key that it was sealed with to accounts.key_file, and reload; or have the user register again"

// SetPolicy swaps the policy: accounts fall asleep or wake up by it, and what was sealed with
// another key than the first one is sealed anew. Before Start nothing comes of it yet.
func (e *Engine) SetPolicy(p Policy) {
	e.mu.Lock()
	e.policy = p
	e.mu.Unlock()
	e.apply()
}

// Start has the policy take effect, from now on: accounts are registered.
func (e *Engine) Start() {
	e.mu.Lock()
	e.started = true
	e.mu.Unlock()
	e.apply()
}

// Reconsider has accounts fall asleep or wake up whose users Access, which may change by
// itself, does not allow any more, or allows again. Before Start nothing comes of it.
func (e *Engine) Reconsider() {
	e.mu.Lock()
	turned := false
	for _, en := range e.byUser {
		if sleeps := en.asleep == KindNotAllowed; sleeps || en.asleep == "" {
			turned = turned || e.policy.Access.Allows(en.user) == sleeps
		}
	}
	e.mu.Unlock()
	if turned {
		e.apply()
	}
}

// apply has everything be as the policy says.
func (e *Engine) apply() {
	e.mu.Lock()
	if !e.started {
		e.mu.Unlock()
		return
	}
	all := slices.SortedFunc(maps.Values(e.byUser), func(a, b *entry) int { // whoever was first keeps the address
		return cmp.Or(a.since.Compare(b.since), strings.Compare(a.user.String(), b.user.String()))
	})
	if len(e.policy.Keys) > 0 {
		e.openLocked(all)
	}
	e.rankLocked(all)
	e.resealLocked(all)
	asleep := 0
	for _, en := range all {
		if en.asleep != "" {
			asleep++
		}
	}
	off := e.policy.off()
	same := e.told == [2]int{len(all), asleep}
	e.told = [2]int{len(all), asleep}
	e.mu.Unlock()
	switch {
	case same:
	case off:
		e.log.Info("the SIP accounts of users are asleep, since accounts.mode is none", "accounts", asleep)
	default:
		e.log.Info("users have SIP accounts", "accounts", len(all), "asleep", asleep)
	}
	e.sync()
}

func (p *Policy) off() bool { return p.Mode == "" || p.Mode == ModeNone }

// openLocked opens what is still sealed.
func (e *Engine) openLocked(all []*entry) {
	locked := 0
	for _, en := range all {
		if en.opened {
			continue
		}
		s, _, err := e.policy.Keys.open(en.user.String(), en.text, en.sealed)
		if err == nil {
			en.secret, en.opened = s, true
			continue
		}
		if locked++; locked <= maxTold {
			e.log.Error("the SIP account of a user cannot be opened; it is kept and asleep", "user", en.user, "aor", en.aor, "err", err, "remedy", remedyLocked)
		}
	}
	if locked > maxTold {
		e.log.Error("SIP accounts of users cannot be opened; they are kept and asleep", "accounts", locked, "remedy", remedyLocked)
	}
}

// rankLocked finds out anew who has which address, and who is asleep. Changes that are on
// their way are judged when they come.
func (e *Engine) rankLocked(all []*entry) {
	clear(e.byKey)
	for _, en := range all {
		key, ok := e.keyOf(en.aor)
		if !ok {
			key = mapping.URI{Scheme: "sip", User: strings.ToLower(en.aor.User), Host: en.aor.Host}
		}
		en.key = key
		if e.byKey[key] == nil {
			e.byKey[key] = en
		}
	}
	for _, en := range all {
		en.asleep = e.judge(en)
	}
	e.index.mu.Lock()
	defer e.index.mu.Unlock()
	clear(e.index.aors)
	clear(e.index.users)
	clear(e.index.names)
	for _, en := range all {
		if en.asleep == "" {
			e.index.add(en)
		}
	}
}

// judge says why an account is asleep, "" if it is not. e.mu is held.
func (e *Engine) judge(en *entry) Kind {
	p := &e.policy
	switch {
	case p.off():
		return KindOff
	case !en.opened:
		return KindLocked
	case !p.Access.Allows(en.user):
		return KindNotAllowed
	case e.byKey[en.key] != en:
		return KindTaken
	}
	if _, _, fault := p.Rules.AccountAddress(en.aor); fault != "" {
		return kindOf(fault)
	}
	if !p.registrar(en.aor, en.secret.Registrar) {
		return KindBadRegistrar
	}
	return ""
}

// resealLocked seals with the first key what is not, and has it written. What is on its way to
// the disk is looked at when that is over.
func (e *Engine) resealLocked(all []*entry) {
	keys := e.policy.Keys
	var again []*entry
	var batch []Record
	for _, en := range all {
		c := e.changes[en.user]
		if !en.opened || len(keys) == 0 || keys.isFresh(en.sealed) && !en.stale || c != nil && c.step == writing {
			continue
		}
		sealed, err := keys.seal(en.user.String(), en.text, en.secret)
		if err != nil {
			continue
		}
		en.sealed, en.stale = sealed, false
		again, batch = append(again, en), append(batch, en.record())
	}
	if len(again) == 0 {
		return
	}
	if err := e.book.PutAccounts(batch, func(err error) { e.resealed(again, batch, err) }); err != nil {
		e.staleLocked(again, batch, err)
	}
}

// resealed takes that what was sealed anew is on the disk, or may not be.
func (e *Engine) resealed(again []*entry, batch []Record, err error) {
	if err == nil {
		e.log.Info("SIP accounts are sealed with the first key of accounts.key_file from now on", "accounts", len(batch))
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.staleLocked(again, batch, err)
}

// staleLocked leaves to the next reload or start, which needs the earlier key, what could not be
// written.
func (e *Engine) staleLocked(again []*entry, batch []Record, err error) {
	e.log.Error("SIP accounts cannot be sealed with the first key of accounts.key_file", "accounts", len(batch), "err", err,
		"remedy", "keep the earlier key in the file; when the store works again, reload")
	for i, en := range again {
		if &en.sealed[0] == &batch[i].Sealed[0] {
			en.stale = true
		}
	}
}
