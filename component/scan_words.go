package component

import "gosrc.io/xmpp/stanza"

// words are what stanzas are made of, names, prefixes, namespaces and values of attributes
// like type: reading one of them makes no new string. Nothing but time depends on what is here.
var words = func() map[string]string {
	table := make(map[string]string)
	for _, w := range [...]string{
		"message", "iq", "presence", "id", "from", "to", "type", "xmlns", "lang", "body", "subject", "thread",
		"error", "text", "code", "by", "x", "request", "received", "markable", "displayed", "active", "composing",
		"paused", "inactive", "gone", "origin-id", "stanza-id", "store", "no-store", "no-copy", "delay", "stamp",
		"nick", "html", "replace", "reply", "fallback", "url", "encrypted", "encryption", "ping", "query", "node",
		"var", "name", "category", "item", "jid", "identity", "feature", "show", "status", "priority", "c", "ver",
		"hash", "photo", "idle", "since", "service-unavailable", "item-not-found", "remote-server-not-found",
		"remote-server-timeout", "xml", "stream", "urn:xmpp:sid:0", "vcard-temp:x:update", "chat", "normal",
		"headline", "groupchat", "get", "set", "result", "subscribe", "subscribed", "unsubscribe", "unsubscribed",
		"unavailable", "probe", "cancel", "modify", "auth", "wait", "en", "de",
		stanza.NSComponent, stanza.NSClient, stanza.NSStream, nsStanzas, nsStreams, nsReceipts, nsMarkers, nsStates,
		nsHints, nsDelay, nsOOB, nsNick, nsIdle, nsCaps, nsPing, nsVersion, nsVCard, nsFallback, nsEncryption,
		nsOldOMEMO, nsXHTMLIM, stanza.NSDiscoInfo, stanza.NSDiscoItems,
	} {
		table[w] = w
	}
	return table
}()

// wordOf is b as a string.
func wordOf(b []byte) string {
	if w, ok := words[string(b)]; ok {
		return w
	}
	return string(b)
}
