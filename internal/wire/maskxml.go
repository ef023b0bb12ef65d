package wire

import (
	"strings"
)

const hiddenText = "***"

// Elements whose text proves who somebody is, wherever they are: the handshake of the component
// (XEP-0114), passwords of accounts, rooms and invitations (XEP-0077, XEP-0045).
var secretElements = map[string]bool{
	"handshake": true, "password": true, "passwd": true, "digest": true, "secret": true, "token": true, "pin": true,
}

// Attributes of that kind (XEP-0249).
var secretAttributes = map[string]bool{"password": true, "passwd": true, "digest": true, "secret": true, "token": true, "pin": true}

// What the name of a field says that wants a secret.
var secretWords = []string{"pass", "pwd", "secret", "token", "credential", "pin", "key", "auth"}

// Elements whose text is a word of the protocol, and no user's.
var plainTexts = map[string]bool{"show": true, "priority": true, "thread": true}

// Attributes whose value is no text of a user.
var plainAttributes = map[string]bool{
	"id": true, "from": true, "to": true, "type": true, "lang": true, "by": true, "code": true, "jid": true, "node": true,
	"var": true, "stamp": true, "subscription": true, "ask": true, "action": true, "sessionid": true, "ver": true, "hash": true,
	"category": true, "namespace": true, "for": true, "seconds": true, "affiliation": true, "role": true, "version": true,
}

// Children of a registration (XEP-0077) that are no secret.
var plainRegistration = map[string]bool{"username": true, "instructions": true, "registered": true, "remove": true, "x": true}

// within is what is known of an element whose end has not come.
type within struct {
	hide     bool // its text, and that of all below it
	register bool // it is a registration
	untyped  bool // fields below it that do not say what they are may be secret
	plain    bool // its own text is a word of the protocol
}

// maskStanza appends s to b as it may be shown; texts says that those which users write may be
// seen. Passwords are hidden in any case: by the names of elements, attributes and fields, whatever
// their namespace, and in what is submitted all that does not say what it is. So is what is
// said between a user and the gateway itself, where people type commands.
func maskStanza(b []byte, s stanza, texts bool) []byte {
	top := within{hide: local(s.name) == "message" && (ofDomain(s.to) || ofDomain(s.from))}
	stack := []within{top}
	from := len(b)
	for i := 0; i < len(s.raw); {
		t, ok := nextToken(s.raw, i)
		if !ok {
			return append(b[:from], hiddenText...) // firstStanza has read it, so this does not happen
		}
		i = t.to
		inside := stack[len(stack)-1]
		raw := s.raw[t.from:t.to]
		switch t.kind {
		case tokenText:
			if blank(raw) || texts && !inside.hide || inside.plain && !inside.hide {
				b = append(b, raw...)
			} else {
				b = append(b, hiddenText...)
			}
		case tokenOpen, tokenEmpty:
			child := inside.child(s.raw, &t)
			b = appendTag(b, s.raw, &t, texts && !child.hide)
			if t.kind == tokenOpen && t.name != streamName {
				stack = append(stack, child)
			}
		case tokenClose:
			b = append(b, raw...)
			if len(stack) > 1 {
				stack = stack[:len(stack)-1]
			}
		case tokenOther:
			if strings.HasPrefix(string(raw), "<?xml ") {
				b = append(b, raw...)
			}
		}
	}
	return append(b[:from], maskURIs(string(b[from:]))...)
}

// ofDomain reports whether a JID is nobody's at a domain, with whatever resource.
func ofDomain(jid string) bool {
	bare, _, _ := strings.Cut(jid, "/")
	return !strings.Contains(bare, "@")
}

// child is what is known of a child of an element.
func (w within) child(b []byte, t *token) within {
	name := local(t.name)
	c := within{hide: w.hide || secretElements[name], untyped: w.untyped, plain: plainTexts[name]}
	c.register = t.declares(b, "jabber:iq:register") || t.declares(b, "jabber:iq:auth")
	if w.register && !plainRegistration[name] {
		c.hide = true
	}
	switch name {
	case "x":
		kind := t.value(b, "type")
		c.untyped = kind == "submit" || kind == ""
	case "field":
		kind, key := t.value(b, "type"), strings.ToLower(t.value(b, "var"))
		c.hide = c.hide || kind == "text-private" || kind == "" && w.untyped && key != "form_type"
		for _, word := range secretWords {
			c.hide = c.hide || strings.Contains(key, word)
		}
	}
	return c
}

// appendTag appends a start tag.
func appendTag(b, src []byte, t *token, texts bool) []byte {
	from := t.from
	for _, a := range t.attrs {
		key := local(a.name)
		plain := texts || plainAttributes[key] || a.name == "xmlns" || strings.HasPrefix(a.name, "xmlns:")
		if secretAttributes[key] || !plain {
			b = append(append(b, src[from:a.from]...), hiddenText...)
			from = a.to
		}
	}
	return append(b, src[from:t.to]...)
}

func blank(b []byte) bool { return space(b, 0) == len(b) }
