package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
)

// The section of docs/interop.md stands between these. test/interop, which writes the rest
// of that document, leaves it where it is.
const (
	begin = "<!-- make torture: do not edit -->\n"
	end   = "<!-- /make torture -->\n"
)

const intro = `
## RFC 4475: torture messages

What becomes of the messages of RFC 4475, byte for byte, when a known peer sends them (` + "`make torture RFC4475=DIR`" + `; they are not in this
repository). Each came by itself, over UDP and over TCP, with a good MESSAGE behind it, which was always answered 200, but where it is said
what became of the connection. Whatever gets through the SIP side was answered 200 here: that a domain is not served (404) is found out
behind it. "nothing" is no answer at all.

The last but one column says whether RFC 4475 has it so: **yes**; **allowed**, where it leaves a choice; **method**, where it is about an
INVITE or a REGISTER, which stox refuses, as it should, before the point of the message is reached; **no**. The tests of sipside play
messages of the same kinds that are a MESSAGE (TestTorture).

| case | section | what | over UDP | over TCP | as in RFC 4475 | notes |
|---|---|---|---|---|---|---|
`

// section is that part of the document.
func section() string {
	var b strings.Builder
	b.WriteString(begin + intro)
	escape := strings.NewReplacer("|", `\|`, "<", "&lt;", ">", "&gt;").Replace
	for _, c := range cases {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s |\n", c.name, c.section, escape(c.what), c.udp, c.tcp, c.verdict, escape(c.why))
	}
	b.WriteString("\n" + end)
	return b.String()
}

// place gives the document with the section as it is now, at its end if it had none.
func place(doc []byte) []byte {
	head, rest, ok := bytes.Cut(doc, []byte(begin))
	if !ok {
		return fmt.Appendf(bytes.Clone(doc), "\n%s", section())
	}
	_, tail, _ := bytes.Cut(rest, []byte(end))
	return fmt.Appendf(bytes.Clone(head), "%s%s", section(), tail)
}

func rewrite(file string) error {
	doc, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	return os.WriteFile(file, place(doc), 0o644)
}
