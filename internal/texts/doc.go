// Package texts has what the gateway itself says to people: commands and their forms, help,
// the greeting, notices, registration. English is the source; every other language has a text
// for each of the English ones, with the same placeholders, which a test sees to. What mapping
// says of addresses and failures is English everywhere, since SIP peers are told it as well, and so
// is what component says of stanzas that no client should have sent.
//
// A text has placeholders of fmt, in the order of the arguments that the comment of its field
// names. Texts never have a password in them, nor the text of anybody's message.
package texts

import "strings"

// For are the texts in the language that is nearest to a tag (BCP 47): "de-AT" is German.
// Of a language that is not here, and without one, they are English.
func For(lang string) *Texts {
	if t := Known(lang); t != nil {
		return t
	}
	return &english
}

// Known is For, but nil for a language that is not here.
func Known(lang string) *Texts {
	primary, _, _ := strings.Cut(lang, "-")
	for _, t := range all {
		if strings.EqualFold(primary, t.Lang) {
			return t
		}
	}
	return nil
}

// Named are the texts in the language of that tag or name, in any of the languages here:
// "de", "German", "deutsch". nil if there is none.
func Named(name string) *Texts {
	if t := Known(name); t != nil {
		return t
	}
	for _, t := range all {
		for _, word := range t.Names {
			if strings.EqualFold(name, word) {
				return t
			}
		}
	}
	return nil
}

// Languages are all that there are, English first.
func Languages() []*Texts { return all }

var all = []*Texts{&english, &german}
