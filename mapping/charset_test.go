package mapping

import (
	"strings"
	"testing"

	"golang.org/x/text/encoding/htmlindex"
)

// CT-12: the texts of many languages in the charsets of the WHATWG index, under each
// name of the list below.
func TestCharsets(t *testing.T) {
	for text, names := range map[string]string{
		"Romeo":                   "utf-8 UTF-8 utf8 unicode-1-1-utf-8 us-ascii ascii latin1 macintosh koi8-r big5 iso-2022-jp x-user-defined",
		"Grüße, café ñ":           "iso-8859-1 ISO_8859-1 latin1 l1 windows-1252 cp1252 x-cp1252 iso-8859-15 macintosh windows-1254 iso-8859-9 gb18030",
		"10 € “so”":               "windows-1252 iso-8859-1 windows-1250 windows-1257",
		"Příliš žluťoučký kůň":    "iso-8859-2 latin2 windows-1250 x-cp1250 utf-16be utf-16le",
		"Ĉu vi ŝatas?":            "iso-8859-3 latin3",
		"Ģimene ķīniešu":          "iso-8859-4 windows-1257 iso-8859-13",
		"Привет, Ромео":           "koi8-r KOI8 koi8-u windows-1251 iso-8859-5 ibm866 cp866 x-mac-cyrillic",
		"مرحبا":                   "windows-1256 iso-8859-6",
		"Γειά σου":                "windows-1253 iso-8859-7 greek",
		"שלום":                    "windows-1255 iso-8859-8 iso-8859-8-i logical visual",
		"Günaydın şimdi":          "windows-1254 iso-8859-9 latin5",
		"Đăng":                    "windows-1258",
		"สวัสดี":                  "windows-874 tis-620 iso-8859-11",
		"ロミオとジュリエット":              "shift_jis sjis Windows-31J ms_kanji euc-jp x-euc-jp iso-2022-jp csiso2022jp",
		"罗密欧与朱丽叶":                 "gbk gb2312 chinese x-gbk gb18030",
		"羅密歐與茱麗葉":                 "big5 big5-hkscs cn-big5 gb18030",
		"로미오와 줄리엣":                "euc-kr ks_c_5601-1987 windows-949 korean",
		"Ŵythnos, llŷr":           "iso-8859-14",
		"Ștefan țară":             "iso-8859-16",
		"Áđŋ":                     "iso-8859-10",
		"\uf780\uf7ff":            "x-user-defined",
		"🎭 and 𝄞":                 "utf-16le utf-16be utf-16 gb18030 ucs-2 unicodefeff unicodefffe",
		"two\r\nlines\x00 \uffff": "utf-8 utf-16le",
	} {
		for name := range strings.FieldsSeq(names) {
			enc, err := htmlindex.Get(name)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			wire, err := enc.NewEncoder().String(text)
			if err != nil {
				t.Fatalf("%s cannot say %q: %v", name, text, err)
			}
			want := XMLText(strings.ReplaceAll(text, "\r\n", "\n"))
			if got, f := decodeText([]byte(wire), name); f != nil || got != want {
				t.Errorf("%s: %q, %v, want %q", name, got, f, want)
			}
			wantBody(t, `text/plain;charset="`+name+`"`, "", "", wire, want, 0)
		}
	}
}

// What the index does not say, or says differently.
func TestCharsetChoices(t *testing.T) {
	for _, c := range []struct {
		charset, body, want string
		status              int
	}{
		{"", "\xef\xbb\xbfhi", "hi", 0},
		{"utf-8", "\xef\xbb\xbf\xef\xbb\xbfhi", "\ufeffhi", 0}, // one mark is a mark, the second is a character
		{"windows-1252", "\xef\xbb\xbfcaf\xc3\xa9", "café", 0}, // the mark decides
		{"utf-16", "\xfe\xff\x00h\x00i", "hi", 0},
		{"utf-16", "\xff\xfeh\x00i\x00", "hi", 0},
		{"utf-16", "h\x00i\x00", "hi", 0},
		{"utf-16be", "\xff\xfeh\x00i\x00", "hi", 0},
		{"utf-8", "\xfe\xff\x00h\x00i", "hi", 0},
		{"utf-16le", "h\x00i", "h\ufffd", 0},
		{"utf-16le", "\x00\xd8h\x00", "\ufffdh", 0}, // half a surrogate pair
		{"us-ascii", "caf\xc3\xa9", "café", 0},      // says ASCII, is UTF-8
		{"US-ASCII", "caf\xe9", "café", 0},
		{"ascii", "\x80", "€", 0},
		{"iso-8859-1", "caf\xc3\xa9", "cafÃ©", 0}, // that may be meant
		{"iso-8859-1", "\x80\x93", "€“", 0},
		{"big5", "a\xffb", "a\ufffdb", 0},
		{"utf-8", "caf\xe9", "", 400},
		{"utf-8", "\xed\xa0\x80", "", 400},
		{"replacement", "hi", "", 415}, {"iso-2022-kr", "hi", "", 415}, {"hz-gb-2312", "hi", "", 415}, {"iso-2022-cn", "hi", "", 415},
		{"utf-7", "hi", "", 415}, {"utf-32", "hi", "", 415}, {"x-nonsense", "hi", "", 415}, {"ebcdic", "hi", "", 415},
	} {
		got, f := decodeText([]byte(c.body), c.charset)
		status := 0
		if f != nil {
			status = f.Status
		}
		if got != c.want || status != c.status {
			t.Errorf("%s %q: %q, %v, want %q, %d", c.charset, c.body, got, f, c.want, c.status)
		}
	}
}
