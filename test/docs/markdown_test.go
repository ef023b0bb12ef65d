//go:build interop || install

package docs

import (
	"os"
	"slices"
	"strings"
	"testing"
)

const (
	root           = "../.."
	gettingStarted = root + "/docs/getting-started.md"
)

// block is a fenced block of a document. Its info string says what it is:
//
//	sh                     commands for a root shell
//	text output            what the commands before it print, in part; … is anything
//	LANGUAGE append=PATH   text that goes to the end of a file
//	LANGUAGE file=PATH     a whole file
//	kamailio               text that goes into Kamailio's request_route
//	text message           a message: from, to, text, arrives from
//
// With the name of an XMPP server behind it, it is for its users only; with package or
// source for those who install stox so.
type block struct {
	line int // in the document
	lang string
	args []string
	text string
}

// is reports whether the info string begins with these words.
func (b block) is(words ...string) bool {
	all := append([]string{b.lang}, b.args...)
	return len(all) >= len(words) && slices.Equal(all[:len(words)], words)
}

// arg is the value of name=value in the info string.
func (b block) arg(name string) string {
	for _, a := range b.args {
		if v, ok := strings.CutPrefix(a, name+"="); ok {
			return v
		}
	}
	return ""
}

// blocks are those of a document that are for one of the servers; all are the
// names of the servers and of other ways that are not gone.
func blocks(t *testing.T, file, server string, all []string) []block {
	t.Helper()
	text, err := os.ReadFile(file)
	must(t, err)
	var list []block
	var open *block
	for i, line := range strings.Split(string(text), "\n") {
		info, fence := strings.CutPrefix(line, "```")
		switch {
		case fence && open == nil:
			words := strings.Fields(info)
			if len(words) == 0 {
				t.Fatalf("%s:%d: nobody says what this block is", file, i+1)
			}
			open = &block{line: i + 1, lang: words[0], args: words[1:]}
		case fence:
			others := slices.DeleteFunc(slices.Clone(all), func(s string) bool { return s == server })
			if !slices.ContainsFunc(open.args, func(a string) bool { return slices.Contains(others, a) }) {
				list = append(list, *open)
			}
			open = nil
		case open != nil:
			open.text += line + "\n"
		}
	}
	if open != nil {
		t.Fatalf("%s:%d: the block has no end", file, open.line)
	}
	return list
}

// matches reports whether the parts of want between its … are in line, in order.
func matches(line, want string) bool {
	for part := range strings.SplitSeq(want, "…") {
		i := strings.Index(line, part)
		if i < 0 {
			return false
		}
		line = line[i+len(part):]
	}
	return true
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
