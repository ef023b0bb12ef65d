package vectors

import (
	"regexp"
	"slices"
)

// leftOut are the exchanges that the gateway cannot have yet, each with what it lacks.
var leftOut = map[string]string{
	"M-010": "delivery notifications asked for by SIP are not remembered",
	"M-011": "no delivery notifications are sent",
	"M-012": "no delivery notifications are sent",
	"M-013": "sip.imdn is not built",
	"M-014": "no delivery notifications are understood",
	"M-015": "that somebody is typing is not understood",
	"M-016": "sip.composing is not built",
	"M-020": "sip.imdn is not built",
	"M-022": "no delivery notifications are sent",
	"M-048": "no delivery notifications are sent",
	"M-056": "no delivery notifications are sent",
	"M-068": "sip.imdn is not built",
}

// later are the requirements of features that come with a later version: receipts and
// delivery notifications, and telling that somebody is typing.
var later = regexp.MustCompile(`^IM-(4\d|5[0-5]|61)$`)

// mayBeLeftOut reports whether a vector is about something that is not built.
func mayBeLeftOut(v *vector) bool {
	return slices.ContainsFunc(v.Req, later.MatchString)
}

// notYet are the members of lists that belong to features that are not built. A list
// that has one of them already fails.
var notYet = map[string][]string{
	"Accept":       {"message/imdn+xml", "application/im-iscomposing+xml", "application/pidf+xml"},
	"Allow":        {"SUBSCRIBE", "NOTIFY"},
	"Allow-Events": {"presence"},
}
