package mapping

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// The tables of presence in docs/mapping.md.

func tableOfActivities() string {
	d := newTableOf("show", "activities")
	for _, show := range []Show{ShowAway, ShowXA, ShowDND} {
		var names []string
		for _, name := range slices.Sorted(maps.Keys(showOf)) {
			if showOf[name] == show {
				names = append(names, code(name))
			}
		}
		d.row(code(show), strings.Join(names, ", "))
	}
	return d.String()
}

func tableOfShows() string {
	d := newTableOf("show", "activity")
	for _, show := range []Show{ShowNone, ShowChat, ShowAway, ShowXA, ShowDND} {
		name, activity := "none", "—"
		if show != ShowNone {
			name = code(show)
		}
		if a := activityOf[show]; a != "" {
			activity = code(a)
		}
		d.row(name, activity)
	}
	return d.String()
}

func tableOfPriorities() string {
	some := []int8{0, 1, 2, 5, 10, 13, 50, 64, 126, 127}
	columns := []string{"XMPP"}
	cells := []string{"SIP"}
	for _, n := range some {
		columns, cells = append(columns, fmt.Sprint(n)), append(cells, writePriority(n))
	}
	d := newTableOf(columns...)
	d.row(cells...)
	return d.String()
}

func tableOfPresenceLimits() string {
	d := newTableOf("what", "limit", "beyond it")
	d.row("a document", fmt.Sprintf("%d KiB, %d elements deep, %d elements and texts", pidfDocument.bytes>>10, pidfDocument.depth, pidfDocument.nodes), "413")
	d.row("tuples of one, and of several together", fmt.Sprint(maxTuples), "the others are left out")
	d.row("languages of a status", fmt.Sprint(maxStatusLang), "the others are left out")
	d.row("a status in one language", fmt.Sprintf("%d bytes", maxStatus), "cut, between two characters")
	return d.String()
}
