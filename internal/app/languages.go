package app

import (
	"sync"

	"github.com/stoxgw/stox/internal/bridge"
	"github.com/stoxgw/stox/internal/commands"
	"github.com/stoxgw/stox/mapping"
)

// maxLanguages bounds how many users' choices are remembered. One more is not.
const maxLanguages = 100_000

// languageMarks are how a choice is kept with what else is remembered of a user and the
// gateway.
var languageMarks = map[string]bridge.ContactMarks{"en": bridge.MarkEnglish, "de": bridge.MarkGerman}

// languages are those in which users want to be spoken to. They are asked for with the lock of
// the bridge held, so they are no part of it; it only keeps them.
type languages struct {
	keep func(user mapping.JID, set, clear bridge.ContactMarks)

	mu sync.RWMutex
	of map[mapping.JID]string
}

var _ commands.Languages = (*languages)(nil)

func newLanguages(keep func(user mapping.JID, set, clear bridge.ContactMarks)) *languages {
	return &languages{keep: keep, of: make(map[mapping.JID]string)}
}

// Language is the one that a user has chosen, "" if none.
func (l *languages) Language(user mapping.JID) string {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.of[user]
}

// SetLanguage has a user spoken to in a language, or with "" in that of his client.
func (l *languages) SetLanguage(user mapping.JID, lang string) {
	if l.set(user, lang) {
		set := languageMarks[lang]
		l.keep(user, set, bridge.MarkLanguages&^set)
	}
}

// set reports whether there was room.
func (l *languages) set(user mapping.JID, lang string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if lang == "" {
		delete(l.of, user)
		return true
	}
	if _, has := l.of[user]; !has && len(l.of) >= maxLanguages {
		return false
	}
	l.of[user] = lang
	return true
}

// restore takes what was kept.
func (l *languages) restore(batch []bridge.Contact) {
	for _, c := range batch {
		for lang, mark := range languageMarks {
			if c.Marks&mark != 0 {
				l.set(c.User, lang)
			}
		}
	}
}
