package mapping

import "strings"

// multipart makes one content of the parts of a multipart (CT-09, RFC 5621). Each type
// that has no meaning of its own is a mixed one (RFC 2046 §5.1.7).
func (d *reading) multipart(b []byte, typ *mediaType, depth int) (content, *Failure) {
	raw, f := splitParts(b, typ.param("boundary"), maxParts-d.parts)
	if f != nil {
		return content{}, f
	}
	d.parts += len(raw)
	otherwise := ""
	if typ.name == "multipart/digest" { // RFC 2046 §5.1.5
		otherwise = "message/rfc822"
	}
	parts := make([]entity, len(raw))
	for i := range raw {
		parts[i] = parsePart(raw[i], otherwise)
	}
	depth++
	switch typ.name {
	case "multipart/alternative":
		return d.alternative(parts, depth)
	case "multipart/related":
		return d.entity(parts[root(parts, typ.param("start"))], depth)
	case "multipart/signed":
		return d.signed(parts, depth)
	}
	return d.join(parts, depth)
}

// alternative takes the last part that is understood (RFC 2046 §5.1.4), and of those
// the last that says anything. A part that is broken is one that is not understood: the
// others say the same. If there is none, the last part says why.
func (d *reading) alternative(parts []entity, depth int) (content, *Failure) {
	var why *Failure
	understood := false
	for i := len(parts) - 1; i >= 0; i-- {
		c, f := d.entity(parts[i], depth)
		switch {
		case f == nil && strings.Trim(c.text, " \t\n") != "":
			return c, nil
		case f == nil:
			understood = true
		case f.Status == 413:
			return content{}, f
		case why == nil:
			why = f
		}
	}
	if understood {
		return content{}, nil
	}
	return content{}, why
}

// root is the index of the part of a multipart/related that the others are for: the one
// with the Content-ID start, else the first (RFC 2387 §3.2). The others are pictures and
// the like.
func root(parts []entity, start string) int {
	if start = strings.Trim(start, "<> \t"); start != "" {
		for i := range parts {
			if strings.Trim(parts[i].id, "<> \t") == start {
				return i
			}
		}
	}
	return 0
}

// signed takes the first part, what is signed (RFC 1847 §2.1). The signature is not
// looked at: a gateway has nobody to show the result to, and says nothing about it.
// What is not understood in there is 493 (CT-14).
func (d *reading) signed(parts []entity, depth int) (content, *Failure) {
	c, f := d.entity(parts[0], depth)
	if notUnderstood(f) {
		f = FailUndecipherable()
	}
	return c, f
}

// join puts the texts of the parts one after the other, a blank line between them. A
// part that is not understood is left out if its sender allows that
// (Content-Disposition: ...;handling=optional), and makes the message one that is not
// understood otherwise, as when the others say nothing: 2xx would say that it has been
// delivered.
//
// If there is markup in one part, all of them are in the markup of the whole: a plain
// text is a paragraph of it.
func (d *reading) join(parts []entity, depth int) (content, *Failure) {
	var said []content
	var ignored *Failure
	for i := range parts {
		c, f := d.entity(parts[i], depth)
		switch {
		case notUnderstood(f) && parts[i].optional():
			ignored = f
		case f != nil:
			return content{}, f
		case strings.Trim(c.text, " \t\n") != "":
			said = append(said, c)
		}
	}
	switch len(said) {
	case 0:
		return content{}, ignored
	case 1:
		return said[0], nil // with subjects and date, if that is a message/cpim
	}
	return together(said), nil
}

// together is what several contents say. Subjects and dates are those of parts and not
// of the whole: they are dropped. The language is one if it is that of all.
func together(all []content) content {
	var c content
	texts := make([]string, len(all))
	marked := false
	c.lang = all[0].lang
	for i := range all {
		texts[i] = strings.Trim(all[i].text, "\n")
		marked = marked || all[i].markup != nil
		if !strings.EqualFold(all[i].lang, c.lang) {
			c.lang = ""
		}
	}
	c.text = strings.Join(texts, "\n\n")
	if !marked {
		return c
	}
	for i := range all {
		if all[i].markup != nil {
			c.markup = append(c.markup, all[i].markup...)
		} else {
			c.markup = append(c.markup, Node{Name: "p", Nodes: lineNodes(texts[i])})
		}
	}
	return c
}

// lineNodes are the lines of a plain text.
func lineNodes(text string) (out []Node) {
	for line := range strings.SplitSeq(text, "\n") {
		if out != nil {
			out = append(out, Node{Name: "br"})
		}
		if line != "" {
			out = append(out, Node{Text: line})
		}
	}
	return out
}
