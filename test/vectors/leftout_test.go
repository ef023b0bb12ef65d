package vectors

import (
	"regexp"
	"slices"
)

// leftOut are the exchanges that the gateway cannot have yet, each with what it lacks.
var leftOut = map[string]string{
	"M-015": "that somebody is typing is not understood",
	"M-016": "sip.composing is not built",
}

// later are the requirements of features that come with a later version: telling that
// somebody is typing.
var later = regexp.MustCompile(`^IM-5[0-5]$`)

// mayBeLeftOut reports whether a vector is about something that is not built.
func mayBeLeftOut(v *vector) bool {
	return slices.ContainsFunc(v.Req, later.MatchString)
}

// notYet are the members of lists that belong to features that are not built. A list
// that has one of them already fails.
var notYet = map[string][]string{
	"Accept":       {"application/im-iscomposing+xml", "application/pidf+xml"},
	"Allow":        {"SUBSCRIBE", "NOTIFY"},
	"Allow-Events": {"presence"},
}
