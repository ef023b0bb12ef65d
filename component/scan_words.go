package component

import "gosrc.io/xmpp/stanza"

// words are what stanzas are made of, names, prefixes, namespaces and values of attributes
// like type: reading one of them makes no new string. Nothing but time depends on what is here.
// A word is in the first free slot from that of its hash on; half of them and more are free.
var words = func() (table [wordSlots]string) {
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
		i := hashWord([]byte(w)) % wordSlots
		for table[i] != "" && table[i] != w {
			i = (i + 1) % wordSlots
		}
		table[i] = w
	}
	return table
}()

const wordSlots = 512

// hashWord is a hash of b, which is not empty: good for words, and for nothing that is to
// withstand somebody who looks for two that are alike.
func hashWord(b []byte) uint32 {
	n := len(b)
	return (uint32(n) | uint32(b[0])<<8 | uint32(b[n/2])<<16 | uint32(b[n-1])<<24) * 0x9E3779B1 >> 16
}

// lexicon makes strings of names and the like without making the same one again and again:
// the words, and those that have come last, one for each slot.
type lexicon [64]string

// longestWord is how long what is kept may be.
const longestWord = 64

// word is b as a string.
func (l *lexicon) word(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	h := hashWord(b)
	for i := h % wordSlots; words[i] != ""; i = (i + 1) % wordSlots {
		if words[i] == string(b) {
			return words[i]
		}
	}
	if len(b) > longestWord {
		return string(b)
	}
	w := &l[h%uint32(len(l))]
	if *w != string(b) {
		*w = string(b)
	}
	return *w
}
