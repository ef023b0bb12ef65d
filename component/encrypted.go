package component

import "strings"

const (
	nsEncryption  = "urn:xmpp:eme:0"                  // XEP-0380
	nsOMEMO       = "urn:xmpp:omemo:"                 // XEP-0384, and a version
	nsOldOMEMO    = "eu.siacs.conversations.axolotl"  // XEP-0384 before 0.4
	nsOldOpenPGP  = "jabber:x:encrypted"              // XEP-0027
	nsOpenPGP     = "urn:xmpp:openpgp:0"              // XEP-0373
	nsObjectCrypt = "urn:ietf:params:xml:ns:xmpp-e2e" // RFC 3923
)

// isEncrypted reports whether a message is a ciphertext for its reader (CT-14): its body,
// if it has one, only says so. An OMEMO element without payload carries keys from program
// to program and nothing from person to person; with neither body nor ciphertext there is
// nothing that anybody would miss. OTR has no element; mapping knows it by its text.
func isEncrypted(st *element, hasBody bool) bool {
	said := "" // the namespace that a mark of XEP-0380 names
	for _, c := range st.children {
		if c.name.Space == nsEncryption && c.name.Local == "encryption" {
			if hasBody {
				return true
			}
			said = c.attr("namespace")
			continue
		}
		if isCipher(c) && (hasBody || !isOMEMO(c) || c.has(c.name.Space, "payload")) {
			return true
		}
	}
	if said == "" || said == nsOldOMEMO || strings.HasPrefix(said, nsOMEMO) {
		return false
	}
	for _, c := range st.children { // one that we have not heard of
		if c.name.Space == said {
			return true
		}
	}
	return false
}

// isCipher reports whether e holds a ciphertext, or an OMEMO key.
func isCipher(e *element) bool {
	switch e.name.Space {
	case nsOldOpenPGP:
		return e.name.Local == "x"
	case nsOpenPGP:
		return e.name.Local == "openpgp"
	case nsObjectCrypt:
		return e.name.Local == "e2e"
	}
	return isOMEMO(e)
}

func isOMEMO(e *element) bool {
	return e.name.Local == "encrypted" && (e.name.Space == nsOldOMEMO || strings.HasPrefix(e.name.Space, nsOMEMO))
}
