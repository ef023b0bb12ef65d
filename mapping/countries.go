package mapping

import "strings"

// country is what it takes to tell a national number from an extension, and no
// more: ITU-T E.164 and the national numbering plans published under E.129.
type country struct {
	code  string // E.164 country code
	trunk string // national prefix, read and written
	also  string // further national prefix, only read
	// international has the prefixes of international calls, the first of which is
	// written. It is empty where a carrier must be chosen between the prefix and
	// the number, since then the number cannot be told apart.
	international string
	min, max      int // digits of a national number, without the trunk prefix
	// open has the leading digits of national numbers that are dialled in full
	// without a trunk prefix.
	open string
	// lead has the leading digits of all national numbers; "" is any but 0.
	lead string
}

// read is the number with "+" and its country code for the digits dialled in c. It is
// false unless they are a full number.
func (c *country) read(dialled string) (string, bool) {
	for prefix := range strings.FieldsSeq(c.international) {
		// The shortest full numbers have 7 digits with the country code (Niue), the
		// longest 15 (E.164 §6.2.1); no country code begins with 0.
		if n, ok := strings.CutPrefix(dialled, prefix); ok && len(n) >= 7 && len(n) <= 15 && n[0] != '0' {
			return "+" + n, true
		}
	}
	for _, prefix := range [...]string{c.trunk, c.also} {
		if n, ok := strings.CutPrefix(dialled, prefix); ok && prefix != "" && c.national(n) {
			return "+" + c.code + n, true
		}
	}
	if c.national(dialled) && strings.IndexByte(c.open, dialled[0]) >= 0 {
		return "+" + c.code + dialled, true
	}
	return "", false
}

// national reports whether n is a full national number without trunk prefix.
func (c *country) national(n string) bool {
	if len(n) < c.min || len(n) > c.max {
		return false
	}
	if c.lead == "" {
		return n[0] != '0'
	}
	return strings.IndexByte(c.lead, n[0]) >= 0
}

// dial is how the number, which has its country code and no "+", is dialled in c
// with this trunk prefix; "" if c does not know.
func (c *country) dial(number, trunk string) string {
	if n, ok := strings.CutPrefix(number, c.code); ok {
		if !c.national(n) {
			return ""
		}
		return trunk + n
	}
	if prefix, _, _ := strings.Cut(c.international, " "); prefix != "" {
		return prefix + number
	}
	return ""
}

// nanp is the North American Numbering Plan: area codes begin with 2-9.
var nanp = &country{code: "1", trunk: "1", international: "011", min: 10, max: 10, open: "23456789", lead: "23456789"}

// trunk0 is the common plan with trunk prefix 0 and international prefix 00.
func trunk0(code string, min, max int) *country {
	return &country{code: code, trunk: "0", international: "00", min: min, max: max}
}

// closed is a plan without trunk prefix: every number is dialled in full.
func closed(code string, min, max int, lead string) *country {
	return &country{code: code, international: "00", min: min, max: max, open: lead, lead: lead}
}

// countries by ISO 3166-1 alpha-2 code.
var countries = map[string]*country{
	// country code 1
	"US": nanp, "CA": nanp, "PR": nanp, "VI": nanp, "GU": nanp, "AS": nanp, "MP": nanp,
	"AG": nanp, "AI": nanp, "BB": nanp, "BM": nanp, "BS": nanp, "DM": nanp, "DO": nanp,
	"GD": nanp, "JM": nanp, "KN": nanp, "KY": nanp, "LC": nanp, "MS": nanp, "SX": nanp,
	"TC": nanp, "TT": nanp, "VC": nanp, "VG": nanp,

	// European Union
	"AT": trunk0("43", 6, 13),
	"BE": trunk0("32", 8, 9),
	"BG": trunk0("359", 7, 9),
	"CY": closed("357", 8, 8, "25789"),
	"CZ": closed("420", 9, 9, "23456789"),
	"DE": trunk0("49", 6, 13),
	"DK": closed("45", 8, 8, "23456789"),
	"EE": closed("372", 7, 8, "3456789"),
	"ES": closed("34", 9, 9, "56789"),
	"FI": trunk0("358", 6, 12),
	"FR": trunk0("33", 9, 9),
	"GR": closed("30", 10, 10, "26789"),
	"HR": trunk0("385", 8, 9),
	"HU": {code: "36", trunk: "06", international: "00", min: 8, max: 9},
	"IE": trunk0("353", 7, 9),
	"IT": closed("39", 6, 11, "0378"), // the 0 of an area code is part of the number
	"LT": {code: "370", trunk: "0", also: "8", international: "00", min: 8, max: 8},
	"LU": closed("352", 6, 9, "2345689"),
	"LV": closed("371", 8, 8, "26789"),
	"MT": closed("356", 8, 8, "23579"),
	"NL": trunk0("31", 9, 9),
	"PL": closed("48", 9, 9, "123456789"),
	"PT": closed("351", 9, 9, "23789"),
	"RO": trunk0("40", 9, 9),
	"SE": trunk0("46", 7, 9),
	"SI": trunk0("386", 8, 8),
	"SK": trunk0("421", 9, 9),

	// other Europe
	"AL": trunk0("355", 8, 9),
	"BA": trunk0("387", 8, 9),
	"CH": trunk0("41", 9, 9),
	"GB": trunk0("44", 9, 10), "GG": trunk0("44", 9, 10), "IM": trunk0("44", 9, 10), "JE": trunk0("44", 9, 10),
	"IS": closed("354", 7, 7, "456789"),
	"LI": {code: "423", also: "0", international: "00", min: 7, max: 9, open: "236789", lead: "236789"}, // mobile numbers may have 9
	"MD": trunk0("373", 8, 8),
	"ME": trunk0("382", 8, 8),
	"MK": trunk0("389", 8, 8),
	"NO": closed("47", 8, 8, "2345679"),
	"RS": trunk0("381", 8, 9),
	"RU": {code: "7", trunk: "8", international: "810", min: 10, max: 10}, "KZ": {code: "7", trunk: "8", international: "810", min: 10, max: 10},
	"TR": trunk0("90", 10, 10),
	"UA": trunk0("380", 9, 9),

	// elsewhere
	"AE": trunk0("971", 8, 9),
	"AR": trunk0("54", 10, 10),
	"AU": {code: "61", trunk: "0", international: "0011", min: 9, max: 9},
	"BR": {code: "55", also: "0", min: 10, max: 11, open: "123456789"},     // a carrier is chosen for every long call
	"CL": {code: "56", min: 9, max: 9, open: "23456789", lead: "23456789"}, // as in Brazil
	"CN": {code: "86", trunk: "0", international: "00", min: 10, max: 11, open: "1"},
	"EG": trunk0("20", 8, 10),
	"HK": {code: "852", international: "001", min: 8, max: 8, open: "23456789", lead: "23456789"},
	"IL": trunk0("972", 8, 9),
	"IN": {code: "91", trunk: "0", international: "00", min: 10, max: 10, open: "6789"},
	"JP": {code: "81", trunk: "0", international: "010", min: 9, max: 10},
	"KE": {code: "254", trunk: "0", international: "000", min: 9, max: 9},
	"KR": {code: "82", trunk: "0", international: "001 002", min: 8, max: 10},
	"MA": trunk0("212", 9, 9),
	"MX": closed("52", 10, 10, "23456789"),
	"MY": trunk0("60", 8, 10),
	"NG": {code: "234", trunk: "0", international: "009", min: 8, max: 10},
	"NZ": trunk0("64", 8, 10),
	"PH": trunk0("63", 8, 10),
	"SA": trunk0("966", 9, 9),
	"SG": {code: "65", international: "001 002", min: 8, max: 8, open: "3689", lead: "3689"},
	"TH": {code: "66", trunk: "0", international: "001", min: 8, max: 9},
	"TW": {code: "886", trunk: "0", international: "002", min: 8, max: 9},
	"VN": trunk0("84", 9, 10),
	"ZA": trunk0("27", 9, 9),
}
