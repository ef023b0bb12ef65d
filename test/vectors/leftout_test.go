package vectors

import (
	"regexp"
	"slices"
)

// leftOut are the exchanges that the gateway cannot have yet, each with what it lacks.
var leftOut = map[string]string{}

// later are the requirements of features that come with a later version: receipts and
// delivery notifications, and telling that somebody is typing.
var later = regexp.MustCompile(`^IM-(4\d|5[0-5]|61)$`)

// mayBeLeftOut reports whether a vector is about something that is not built.
func mayBeLeftOut(v *vector) bool {
	return slices.ContainsFunc(v.Req, later.MatchString) ||
		slices.ContainsFunc(v.settings.Route, func(r route) bool { return r.Size != "" }) // sip.route.size
}

// notYet are the members of lists that belong to features that are not built. A list
// that has one of them already fails.
var notYet = map[string][]string{
	"Accept":       {"message/imdn+xml", "application/im-iscomposing+xml", "application/pidf+xml"},
	"Allow":        {"SUBSCRIBE", "NOTIFY"},
	"Allow-Events": {"presence"},
}
