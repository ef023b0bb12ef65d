package mapping

import (
	"fmt"
	"strconv"
	"strings"
)

// The priority of a resource is a whole number from -128 to 127, of which the negative ones
// mean that it wants no messages; that of a contact in a document is from 0 to 1 with three
// decimals (RFC 3863 §4.1.5). 0 to 127 are written so that each of them comes back (PRES-18).

// mostPriority is the greatest.
const mostPriority = 127

// writePriority is a priority of 0 or more as that of a contact.
func writePriority(n int8) string {
	switch n {
	case 0:
		return "0"
	case mostPriority:
		return "1"
	}
	return fmt.Sprintf("0.%03d", int(n)*1000/mostPriority)
}

// readPriority is the reverse; false for what is no such number.
func readPriority(s string) (int8, bool) {
	s = strings.TrimSpace(s)
	if strings.Trim(s, digits+".") != "" { // neither signs nor exponents
		return 0, false
	}
	p, err := strconv.ParseFloat(s, 64)
	if err != nil || p > 1 {
		return 0, false
	}
	switch m := int(p*1000 + 0.5); m {
	case 0:
		return 0, true
	case 1000:
		return mostPriority, true
	default: // rounded up, where writePriority rounds down
		return int8(min(mostPriority-1, (m*mostPriority+999)/1000)), true
	}
}
