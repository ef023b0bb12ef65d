package texts

import (
	"fmt"
	"slices"
	"strings"
)

// ByWord is the command that a word in a chat means, in any of the languages, and the texts in
// that one; "" and nil if it means none.
func ByWord(word string) (node string, t *Texts) {
	for _, t := range all {
		for node, c := range t.Commands {
			if slices.ContainsFunc(c.Words, func(w string) bool { return strings.EqualFold(w, word) }) {
				return node, t
			}
		}
	}
	return "", nil
}

// Means reports whether a word in a chat is one of those that of names, in any of the
// languages.
func Means(word string, of func(*Words) []string) bool {
	return slices.ContainsFunc(all, func(t *Texts) bool {
		return slices.ContainsFunc(of(&t.Words), func(w string) bool { return strings.EqualFold(w, word) })
	})
}

// State is a word for what has a closed list of values, v itself if it is none of them.
func (t *Texts) State(v string) string {
	if s, ok := t.Labels.States[v]; ok {
		return s
	}
	return v
}

// Problem is the sentence for a kind of problem.
func (t *Texts) Problem(kind string) string {
	if s, ok := t.Problems[kind]; ok {
		return s
	}
	return t.Problems[""]
}

// Example is an address that the help shows.
type Example struct {
	Contact string
	Means   string // a URI, or a telephone number
	Number  bool
	Others  bool // it stands for all other SIP addresses
}

// Helping is what the gateway of that name says to somebody who asks how it is used. commands
// are the words of those that he may give, "" if there are none.
func (t *Texts) Helping(name string, examples []Example, commands string) string {
	var b strings.Builder
	b.WriteString(t.Help.Intro + "\n")
	for _, e := range examples {
		form := t.Help.IsAddress
		switch {
		case e.Number:
			form = t.Help.IsNumber
		case e.Others:
			form = t.Help.IsOther
		}
		fmt.Fprintf(&b, "\n%s\n    "+form+"\n", e.Contact, e.Means)
	}
	if commands != "" {
		fmt.Fprintf(&b, "\n"+t.Help.Commands+"\n", commands, t.Commands["commands"].Words[0])
	}
	b.WriteString("\n" + fmt.Sprintf(t.Help.Again, name))
	return b.String()
}

// CommandLine is a line about a command, "" if it is none for a chat.
func (t *Texts) CommandLine(node string) string {
	c := t.Commands[node]
	if len(c.Words) == 0 {
		return ""
	}
	return strings.TrimSpace(c.Words[0]+" "+c.Usage) + ": " + c.About + "\n"
}
