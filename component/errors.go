package component

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/stoxgw/stox/mapping"
)

// stanzaError is what a stanza is answered with (RFC 6120 §8.3).
type stanzaError struct {
	cond      mapping.Condition
	typ       mapping.ErrorType
	text      string // English, "" if the condition says it all
	alternate string // content of gone and redirect
	lang      string // of text, "" for English
	app       string // a condition of XEP-0050 §4.4 besides, "" for none
	blocked   bool   // by the sender himself (XEP-0191 §3.5)
}

// errorOf is the stanza error of a failure.
func errorOf(f *mapping.Failure) stanzaError {
	return stanzaError{cond: f.Condition, typ: f.Type, text: f.Text, alternate: f.Alternate, blocked: f.Blocked}
}

// appendStanzaError appends the <error/> element; by is who says so.
func appendStanzaError(b []byte, by string, e stanzaError) []byte {
	cond, typ := e.cond, e.typ
	if !cond.Known() || cond == mapping.CondPaymentRequired { // no longer in RFC 6120
		cond = mapping.CondUndefinedCondition
	}
	if !typ.Known() {
		typ = cond.DefaultType()
	}
	b = append(b, "<error"...)
	b = appendAttr(b, "type", string(typ))
	b = appendAttr(b, "by", by)
	b = append(b, "><"...)
	b = append(b, cond...)
	b = appendAttr(b, "xmlns", nsStanzas)
	if e.alternate != "" && (cond == mapping.CondGone || cond == mapping.CondRedirect) {
		b = append(b, '>')
		b = appendEscaped(b, e.alternate, false)
		b = append(b, "</"...)
		b = append(b, cond...)
		b = append(b, '>')
	} else {
		b = append(b, "/>"...)
	}
	if e.text != "" {
		b = append(b, "<text"...)
		b = appendAttr(b, "xmlns", nsStanzas)
		b = appendAttr(b, "xml:lang", cmp.Or(e.lang, "en"))
		b = append(b, '>')
		b = appendEscaped(b, e.text, false)
		b = append(b, "</text>"...)
	}
	if slices.Contains(commandConditions, e.app) {
		b = append(append(b, '<'), e.app...)
		b = append(appendAttr(b, "xmlns", nsCommands), "/>"...)
	}
	if e.blocked {
		b = append(b, "<blocked"...)
		b = appendAttr(b, "xmlns", nsBlocked)
		b = append(b, "/>"...)
	}
	return append(b, "</error>"...)
}

// readStanzaError makes a Failure of the error that a bounce carries. What is
// missing or odd counts as undefined-condition; extra children in other
// namespaces are ignored (RFC 6120 §8.3.2).
func readStanzaError(st *element) *mapping.Failure {
	var cond mapping.Condition
	var typ mapping.ErrorType
	var text, alternate string
	if e := st.child("error"); e != nil {
		typ = mapping.ErrorType(e.attr("type"))
		for _, c := range e.children {
			switch {
			case c.name.Space != nsStanzas:
			case c.name.Local == "text":
				if text == "" {
					text = string(c.text)
				}
			case cond == "":
				cond = mapping.Condition(c.name.Local)
				alternate = string(bytes.TrimSpace(c.text))
			}
		}
	}
	return mapping.FailureFromStanza(cond, typ, text, alternate)
}
