package mapping

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// ADDR-16: RFC 3966 §3, §5.
func TestSubscriber(t *testing.T) {
	for in, want := range map[string]string{
		"+1;" + strings.Repeat("a;", 99):         "",
		"+12125550123":                           "+12125550123",
		"+1-212-555-0123":                        "+12125550123",
		"+1.(212).555":                           "+1212555",
		"+1;EXT=12-3;isub=A/B;phone=x":           "+1;isub=a/b;ext=123;phone=x",
		"7042;phone-context=example.com":         "7042;phone-context=example.com",
		"70-42;z;phone-context=Example.com.;a=1": "7042;phone-context=example.com;a=1;z",
		"A*#;phone-context=+1(914)":              "a*#;phone-context=+1914",
		"7042":                                   "",
		"":                                       "",
		"+":                                      "",
		"+()":                                    "",
		"+12a":                                   "",
		"++1":                                    "",
		"1+2;phone-context=+1":                   "",
		"+1;phone-context=example.com":           "",
		"7042;phone-context=":                    "",
		"7042;phone-context":                     "",
		"7042;phone-context=+":                   "",
		"7042;phone-context=+1x":                 "",
		"7042;phone-context=a..b":                "",
		"7042;phone-context=example.com;a=b;a=c": "",
		"7042;phone-context=example.com;":        "",
		"7042;phone-context=example.com;ext=":    "",
		"7042;phone-context=example.com;ext=x":   "",
		"7042;phone-context=example.com;a=":      "",
		"7042;phone-context=example.com;a=b=c":   "",
		"7042;phone-context=example.com;a b":     "",
		"7042;phone-context=example.com;a=ü":     "",
		"romeo;phone-context=example.com":        "",
		"+1@example.org":                         "",
	} {
		got, ok := subscriber(in)
		if got != want || ok != (want != "") {
			t.Errorf("%q: %q %v, want %q", in, got, ok, want)
		}
		if again, ok := subscriber(got); want != "" && (!ok || again != got) {
			t.Errorf("%q -> %q -> %q", in, got, again)
		}
	}
}

// ADDR-26: how a number that is dialled in a country is read. "" is left alone.
func TestReadNumbers(t *testing.T) {
	for _, c := range []struct{ country, dialled, want string }{
		{"US", "2125550123", "+12125550123"}, {"US", "12125550123", "+12125550123"}, {"US", "(212)555-0123", "+12125550123"},
		{"US", "011442079460123", "+442079460123"}, {"US", "1125550123", ""}, {"US", "0125550123", ""}, {"US", "11125550123", ""},
		{"US", "911", ""}, {"US", "1001", ""}, {"US", "5550123", ""}, {"US", "011", ""}, {"US", "01100442079460123", ""}, {"CA", "4165550123", "+14165550123"},
		{"DE", "03012345678", "+493012345678"}, {"DE", "0049 30", ""}, {"DE", "00493012345678", "+493012345678"}, {"DE", "3012345678", ""},
		{"DE", "110", ""}, {"DE", "0", ""}, {"DE", "00", ""}, {"DE", "000123456789", ""}, {"DE", "004412", ""}, {"DE", "+493012", "+493012"},
		{"GB", "02079460123", "+442079460123"}, {"GB", "999", ""}, {"CH", "0441234567", "+41441234567"}, {"AT", "01234567", "+431234567"},
		{"FR", "0123456789", "+33123456789"}, {"FR", "123456789", ""}, {"ES", "912345678", "+34912345678"}, {"ES", "112", ""},
		{"IT", "0612345678", "+390612345678"}, {"IT", "3331234567", "+393331234567"}, {"IT", "0039061234567", "+39061234567"}, {"IT", "1001", ""},
		{"DK", "12345678", ""}, {"DK", "32123456", "+4532123456"}, {"NO", "22123456", "+4722123456"}, {"PL", "221234567", "+48221234567"},
		{"HU", "0612345678", "+3612345678"}, {"HU", "012345678", ""}, {"LT", "861234567", "+37061234567"}, {"LT", "061234567", "+37061234567"},
		{"RU", "84951234567", "+74951234567"}, {"RU", "81049301234567", "+49301234567"}, {"RU", "4951234567", ""},
		{"AU", "0291234567", "+61291234567"}, {"AU", "0011442079460123", "+442079460123"}, {"AU", "000", ""}, {"NZ", "091234567", "+6491234567"},
		{"JP", "0312345678", "+81312345678"}, {"JP", "010442079460123", "+442079460123"}, {"JP", "0111234567", "+81111234567"},
		{"IN", "9812345678", "+919812345678"}, {"IN", "09812345678", "+919812345678"}, {"IN", "1123456789", ""}, {"IN", "01123456789", "+911123456789"},
		{"BR", "11912345678", "+5511912345678"}, {"BR", "01134567890", "+551134567890"}, {"BR", "0021442079460123", ""}, {"BR", "34567890", ""},
		{"CN", "13812345678", "+8613812345678"}, {"CN", "01012345678", "+861012345678"}, {"CN", "10086", ""}, {"CN", "21123456789", ""},
		{"HK", "41234567", "+85241234567"}, {"HK", "81234567", "+85281234567"}, {"HK", "999", ""}, {"CY", "77123456", "+35777123456"}, {"CY", "80001234", "+35780001234"},
		{"LI", "2345678", "+4232345678"}, {"LI", "661234567", "+423661234567"}, {"LI", "0661234567", "+423661234567"}, {"LI", "112", ""}, {"LI", "500123", ""},
		{"ZA", "0211234567", "+27211234567"}, {"MX", "5512345678", "+525512345678"}, {"MX", "015512345678", ""},
	} {
		p := dialPlan{country: countries[c.country]}
		if p.country == nil {
			t.Fatalf("no country %s", c.country)
		}
		if got, ok := p.read(c.dialled); got != c.want || ok != (c.want != "") {
			t.Errorf("%s %q: %q %v, want %q", c.country, c.dialled, got, ok, c.want)
		}
	}
	if got, ok := (dialPlan{}).read("2125550123"); ok {
		t.Errorf("no country: %q", got)
	}
}

// ADDR-26: the dial-out form of a route.
func TestDialNumbers(t *testing.T) {
	for _, c := range []struct{ country, numbers, number, want string }{
		{"US", "e164", "+12125550123", "+12125550123"},
		{"US", "nanp10", "+12125550123", "2125550123"},
		{"US", "national", "+12125550123", "12125550123"},
		{"US", "nanp10", "+442079460123", "011442079460123"},
		{"US", "nanp10", "+12125550123;ext=5", "+12125550123;ext=5"},
		{"US", "nanp10", "+1911", "+1911"},
		{"DE", "national", "+493012345678", "03012345678"},
		{"DE", "national", "+442079460123", "00442079460123"},
		{"DE", "national", "+49110", "+49110"},
		{"DE", "national", "7042;phone-context=+49", "7042;phone-context=+49"},
		{"IT", "national", "+390612345678", "0612345678"},
		{"NO", "national", "+4722123456", "22123456"},
		{"HU", "national", "+3612345678", "0612345678"},
		{"RU", "national", "+442079460123", "810442079460123"},
		{"BR", "national", "+5511912345678", "11912345678"},
		{"BR", "national", "+442079460123", "+442079460123"}, // the carrier would have to be chosen
	} {
		p := dialPlan{country: countries[c.country], numbers: c.numbers}
		if got := p.dial(c.number); got != c.want {
			t.Errorf("%s %s %s: %s, want %s", c.country, c.numbers, c.number, got, c.want)
		}
	}
}

// Whatever the country: what is dialled is read back (ADDR-20), and what is read
// is a number that E.164 can have.
func TestNumbersThereAndBack(t *testing.T) {
	for iso, c := range countries {
		if c.min < 4 || c.max < c.min || len(c.code)+c.max > 15 {
			t.Errorf("%s: numbers of %d to %d digits", iso, c.min, c.max)
		}
		if c.trunk == "" && c.open == "" {
			t.Errorf("%s: no way to dial a national number", iso)
		}
		if c.lead != "" && strings.Trim(c.open, c.lead) != "" {
			t.Errorf("%s: open numbers that are no numbers", iso)
		}
		if len(iso) != 2 || strings.ToUpper(iso) != iso {
			t.Errorf("%q is no ISO 3166 code", iso)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		digits := rapid.StringMatching(`[0-9]{1,16}`).Draw(t, "digits")
		national := rapid.StringMatching(`[0-9]{5,13}`).Draw(t, "national")
		for iso, c := range countries {
			for _, numbers := range []string{"e164", "national", "nanp10"} {
				p := dialPlan{country: c, numbers: numbers}
				for _, number := range []string{"+" + digits, "+" + c.code + national} {
					dialled := p.dial(number)
					if back, ok := p.read(dialled); !ok || back != number {
						t.Fatalf("%s %s: %s dialled as %s is read as %s", iso, numbers, number, dialled, back)
					}
				}
			}
			p := dialPlan{country: c}
			if number, ok := p.read(digits); ok && (!isE164(number) || len(number) > 16 || number[1] == '0') {
				t.Fatalf("%s: %s is read as %s", iso, digits, number)
			}
		}
	})
}
