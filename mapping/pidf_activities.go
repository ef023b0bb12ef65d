package mapping

import "strings"

// Activities (RFC 4480 §3.2) are what phones say where XMPP has show.

// activityOf is the activity that is written for a show.
var activityOf = map[Show]string{
	ShowAway: "away",
	ShowXA:   "away",
	ShowDND:  "busy",
}

// showOf is the show for an activity. All others say nothing of how available somebody is:
// who is at lunch may have a phone on the table.
var showOf = map[string]Show{
	"away":              ShowAway,
	"permanent-absence": ShowXA,
	"sleeping":          ShowXA,
	"vacation":          ShowXA,
	"busy":              ShowDND,
	"meeting":           ShowDND,
	"on-the-phone":      ShowDND,
	"in-transit":        ShowDND,
	"steering":          ShowDND,
	"appointment":       ShowDND,
	"performance":       ShowDND,
	"presentation":      ShowDND,
	"dnd":               ShowDND, // Cisco's own
}

// readActivity is the show for the name of an activity.
func readActivity(name string) Show { return showOf[lower(strings.TrimSpace(name))] }

// personShow is what is said of the person who has these resources. Somebody who can be
// reached at one of them is not away: nothing is said then. Else it is that of the resource
// with the highest priority, the first of these.
func personShow(resources []Resource) Show {
	var best *Resource
	for i := range resources {
		r := &resources[i]
		switch {
		case !r.Open:
		case activityOf[r.Show] == "":
			return ShowNone
		case best == nil || r.Priority > best.Priority:
			best = r
		}
	}
	if best == nil {
		return ShowNone
	}
	return best.Show
}
