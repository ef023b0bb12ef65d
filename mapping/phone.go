package mapping

import (
	"slices"
	"strings"
)

// Telephone numbers (RFC 3966, RFC 3261 §19.1.6, ADDR-16, ADDR-26). Inside the
// gateway a number has one spelling: the canonical telephone-subscriber, which is
// "+" and digits for every number that is known in full.

const separators = "-.()" // RFC 3966 §3 visual-separator

var (
	phoneDigits     = newCharset(digits + separators)
	phoneDigitsHex  = newCharset(digits + "abcdefABCDEF*#" + separators)
	phoneParamNames = newCharset(alphanum + "-")
)

// subscriber is the canonical form of the telephone-subscriber s: no visual
// separators, lower case, isub or ext first, then phone-context, then the rest
// in lexical order (RFC 3966 §3). It is false if s is none: a local number needs
// a phone-context, a global one must not have any.
func subscriber(s string) (string, bool) {
	switch {
	case isE164(s):
		return s, true
	case s == "" || s[0] != '+' && strings.IndexByte(s, ';') < 0: // no context
		return "", false
	}
	number, params, hasParams := strings.Cut(s, ";")
	global := strings.HasPrefix(number, "+")
	if global {
		number = number[1:]
		if !phoneDigits.all(number) {
			return "", false
		}
	} else if !phoneDigitsHex.all(number) {
		return "", false
	}
	if number = strip(number); number == "" {
		return "", false
	}
	list, context, ok := subscriberParams(params, hasParams)
	if !ok || context == global {
		return "", false
	}
	var b strings.Builder
	if global {
		b.WriteByte('+')
	}
	b.WriteString(lower(number))
	for _, p := range list {
		b.WriteByte(';')
		b.WriteString(p)
	}
	return b.String(), true
}

// isE164 reports whether s is "+" and digits.
func isE164(s string) bool {
	if len(s) < 2 || s[0] != '+' {
		return false
	}
	for i := 1; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// strip removes the visual separators.
func strip(s string) string {
	if !strings.ContainsAny(s, separators) {
		return s
	}
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(separators, r) {
			return -1
		}
		return r
	}, s)
}

// maxPhoneParams is how many parameters a number may have: more than all that
// are registered with IANA for tel:.
const maxPhoneParams = 32

// subscriberParams is the list of parameters in canonical order and spelling.
// context says whether phone-context is one of them.
func subscriberParams(s string, has bool) (list []string, context, ok bool) {
	if !has {
		return nil, false, true
	}
	var names []string
	for p := range strings.SplitSeq(lower(s), ";") {
		name, value, hasValue := strings.Cut(p, "=")
		if len(names) == maxPhoneParams || name == "" || !phoneParamNames.all(name) || slices.Contains(names, name) ||
			hasValue && value == "" || !paramRaw.all(value) {
			return nil, false, false
		}
		switch name {
		case "ext":
			if value = strip(value); value == "" || !phoneDigits.all(value) {
				return nil, false, false
			}
		case "phone-context":
			context = true
			if value, ok = phoneContext(value); !ok {
				return nil, false, false
			}
		}
		if hasValue {
			p = name + "=" + value
		}
		names = append(names, name)
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b string) int {
		if ra, rb := paramRank(a), paramRank(b); ra != rb {
			return ra - rb
		}
		return strings.Compare(a, b)
	})
	return list, context, true
}

func paramRank(p string) int {
	switch name, _, _ := strings.Cut(p, "="); name {
	case "isub":
		return 0
	case "ext":
		return 1
	case "phone-context":
		return 2
	}
	return 3
}

// phoneContext is the canonical form of a descriptor: a domain name, or the
// leading digits of a global number.
func phoneContext(s string) (string, bool) {
	if !strings.HasPrefix(s, "+") {
		s = strings.TrimSuffix(s, ".")
		ok, _ := isLDH(s)
		return s, ok
	}
	s = "+" + strip(s[1:])
	return s, isE164(s)
}

// dialPlan is what the phone domain's route says about numbers.
type dialPlan struct {
	country *country // nil reads no national numbers
	numbers string   // "e164", "national" or "nanp10"
}

// read is the canonical form of a user part at the phone domain: of a
// telephone-subscriber, or of a number as it is dialled in the country of the
// plan. It is false if the user part is no number or no full one.
func (p dialPlan) read(user string) (string, bool) {
	if s, ok := subscriber(user); ok {
		return s, true
	}
	if p.country == nil || !phoneDigits.all(user) {
		return "", false
	}
	return p.country.read(strip(user))
}

// dial is the form in which the canonical number is sent. A number that would
// not be read back as itself is sent as it is.
func (p dialPlan) dial(number string) string {
	if p.country == nil || !isE164(number) {
		return number
	}
	var dialled string
	switch p.numbers {
	case "national":
		dialled = p.country.dial(number[1:], p.country.trunk)
	case "nanp10":
		dialled = p.country.dial(number[1:], "")
	default:
		return number
	}
	if back, ok := p.read(dialled); !ok || back != number {
		return number
	}
	return dialled
}
