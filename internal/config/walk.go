package config

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/viper"
)

// Decoder makes the parser viper's registry of formats: there is one, TOML, and
// between decoding it and viper's own work, which folds the case of keys and
// forgets where they stood, stands the parser.
func (p *parser) Decoder(format string) (viper.Decoder, error) {
	d, err := viper.NewCodecRegistry().Decoder("toml")
	if err != nil || format != "toml" {
		return nil, fmt.Errorf("format %q: only TOML is read", format)
	}
	return walker{d, p}, nil
}

// walker decodes TOML and keeps only what the schema knows.
type walker struct {
	toml viper.Decoder
	p    *parser
}

func (w walker) Decode(b []byte, v map[string]any) error {
	if err := w.toml.Decode(b, v); err != nil {
		return err
	}
	w.p.table("", "", v)
	return nil
}

// table looks at each key of a TOML table, notes what is wrong and removes it, so
// that the rest can still be judged. schemaPath is where the schema describes the
// table, at is where it stands in the file (with indices).
func (p *parser) table(schemaPath, at string, t map[string]any) {
	for _, name := range slices.Sorted(maps.Keys(t)) {
		path := join(schemaPath, name)
		here := join(at, quoteKey(name))
		k := keyAt(path)
		if strings.Contains(name, ".") {
			k = nil // "xmpp.domain" in quotes is one name, not two
		}
		inTable := tableOf(path)
		switch {
		case k != nil && !p.built(k) && (inTable == nil || p.built(inTable)):
			p.fault(here, notBuilt, "remove it")
			// Tables are judged all the same: they may contradict what is built.
			if k.kind == kindTables {
				if tables, ok := p.tables(k, here, t[name]); ok {
					t[name] = tables
					continue
				}
			}
		case k != nil && k.kind == kindTables:
			if tables, ok := p.tables(k, here, t[name]); ok {
				t[name] = tables
				continue
			}
		case k != nil:
			if value, ok := p.value(k, here, t[name]); ok {
				t[name] = value
				p.origin[here] = fromFile
				continue
			}
		case slices.Contains(sections, path):
			if sub, ok := t[name].(map[string]any); ok {
				p.table(path, here, sub)
				continue
			}
			p.fault(here, "is a section, not "+kindOf(t[name]), "write ["+path+"] on a line of its own, its keys below it")
		default:
			p.unknown(here, path, t[name])
		}
		delete(t, name)
	}
}

const notBuilt = "not in this version of stox"

// tables looks at the value of a [[name]].
func (p *parser) tables(k *key, here string, value any) ([]any, bool) {
	list, ok := value.([]any)
	if !ok {
		p.fault(here, "must be "+k.kind.String()+", not "+kindOf(value), "write [["+k.path+"]]")
		return nil, false
	}
	for i, e := range list {
		at := fmt.Sprintf("%s[%d]", here, i)
		t, ok := e.(map[string]any)
		if !ok {
			p.fault(at, "must be a table, not "+kindOf(e), "write [["+k.path+"]]")
			list[i] = map[string]any{}
			p.bad[at] = true
			continue
		}
		p.table(k.path, at, t)
	}
	p.origin[here] = fromFile
	return list, true
}

// value checks the type of a value, and whether it is one of those allowed.
func (p *parser) value(k *key, here string, value any) (any, bool) {
	wrong := func(hint string) (any, bool) {
		p.fault(here, "must be "+k.kind.String()+", not "+kindOf(value), hint)
		return nil, false
	}
	switch k.kind {
	case kindString:
		s, ok := value.(string)
		if !ok {
			if k.secret {
				return wrong("put it in double quotes")
			}
			return wrong(inQuotes(value))
		}
		if s == "" && k.empty != "" {
			return s, true
		}
		return s, p.allowed(k, here, s)
	case kindBool:
		b, ok := value.(bool)
		if !ok {
			return wrong("without quotes")
		}
		return b, true
	case kindInt:
		n, ok := value.(int64)
		if !ok {
			return wrong("without quotes")
		}
		most := cmp.Or(k.max, 1<<31-1)
		if n < k.min || n > most {
			p.fault(here, fmt.Sprintf("is %d; must be at least %d and at most %d", n, k.min, most), "")
			return nil, false
		}
		return n, p.allowed(k, here, strconv.FormatInt(n, 10))
	case kindDuration:
		s, ok := value.(string)
		if !ok {
			hint := `write for example "15s"`
			if n, ok := value.(int64); ok {
				hint = fmt.Sprintf(`did you mean "%ds"?`, n)
			}
			return wrong(hint)
		}
		return p.duration(k, here, s)
	case kindList:
		list, ok := value.([]any)
		if !ok {
			if s, ok := value.(string); ok {
				return wrong("write [" + Quote(s) + "]")
			}
			return wrong("")
		}
		strs := make([]string, len(list))
		for i, e := range list {
			if strs[i], ok = e.(string); !ok {
				p.fault(fmt.Sprintf("%s[%d]", here, i), "must be a string, not "+kindOf(e), inQuotes(e))
				p.bad[here] = true
				return nil, false
			}
		}
		return strs, true
	}
	return nil, false
}

func (p *parser) duration(k *key, here, s string) (any, bool) {
	d, err := time.ParseDuration(s)
	if err != nil {
		hint := `write for example "15s", "500ms", "2m" or "1h30m"`
		if _, err := strconv.ParseUint(s, 10, 31); err == nil {
			hint = fmt.Sprintf("did you mean %q?", s+"s")
		}
		p.fault(here, fmt.Sprintf("%s is no duration with a unit", Quote(s)), hint)
		return nil, false
	}
	least, most := time.Duration(k.min), time.Duration(k.max)
	switch {
	case d <= 0:
		p.fault(here, fmt.Sprintf("is %s; must be more than 0", Quote(s)), "")
		return nil, false
	case d < least || most > 0 && d > most:
		text := fmt.Sprintf("is %s; must be at least %s", Quote(s), shortDuration(least))
		if most > 0 {
			text += " and at most " + shortDuration(most)
		}
		p.fault(here, text, "")
		return nil, false
	}
	return s, true
}

// shortDuration writes a duration without the zeros at its end: 5m, not 5m0s.
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// allowed checks a value that can only be one of some. In front of the file's
// types all of them are text.
func (p *parser) allowed(k *key, here, s string) bool {
	values := k.values
	if p.all {
		values = slices.Concat(values, k.later)
	}
	if len(values) == 0 || slices.Contains(values, s) {
		return true
	}
	shown := Quote(s)
	if k.kind == kindInt {
		shown = s
	}
	if slices.Contains(k.later, s) {
		p.fault(here, shown+" is "+notBuilt, "use "+strings.Join(values, " or "))
		return false
	}
	hint := ""
	if k.kind == kindString { // among numbers any other is near
		hint = didYouMean(s, values)
	}
	p.fault(here, fmt.Sprintf("%s is none of %s", shown, strings.Join(values, ", ")), hint)
	return false
}

// unknown notes a name that the schema does not have.
func (p *parser) unknown(here, path string, value any) {
	if len(p.faults) >= maxFaults { // the hint costs time
		p.fault(here, "unknown key", "")
		return
	}
	_, isTable := value.(map[string]any)
	if list, ok := value.([]any); ok && len(list) > 0 {
		_, isTable = list[0].(map[string]any)
	}
	if isTable {
		var names []string
		for _, s := range sections {
			names = append(names, "["+s+"]")
		}
		for i := range schema {
			if schema[i].kind == kindTables && p.built(&schema[i]) {
				names = append(names, "[["+schema[i].path+"]]")
			}
		}
		p.fault(here, "unknown section", didYouMean("["+path+"]", names))
		return
	}
	p.fault(here, "unknown key", p.keyHint(path))
}

// keyHint finds the key that a wrong name may stand for: one of the same section,
// or one of that name elsewhere, which is as common as a misspelt one. A hint must
// not lead to a key that the next start refuses.
func (p *parser) keyHint(path string) string {
	unknown := key{path: path}
	var names, everywhere, elsewhere []string
	for i := range schema {
		k := &schema[i]
		switch {
		case !p.built(k) || k.kind == kindTables:
			continue
		case k.section() == unknown.section():
			names = append(names, k.name())
		case k.name() == unknown.name() && tableOf(k.path) == nil:
			elsewhere = append(elsewhere, k.path)
		}
		everywhere = append(everywhere, k.path)
	}
	if name := nearest(unknown.name(), names); name != "" {
		return "did you mean " + join(unknown.section(), name) + "?"
	}
	if len(elsewhere) > 0 {
		return "did you mean " + strings.Join(elsewhere, " or ") + "?"
	}
	if unknown.section() == "" {
		return didYouMean(path, everywhere)
	}
	return ""
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + "." + b
}

// kindOf names the type of a TOML value as an administrator would.
func kindOf(v any) string {
	switch v := v.(type) {
	case string:
		return "a string"
	case bool:
		return "true or false"
	case int64:
		return "a number"
	case float64:
		return "a number with a point"
	case map[string]any:
		return "a section"
	case []any:
		if len(v) > 0 {
			if _, ok := v[0].(map[string]any); ok {
				return "a list of tables"
			}
		}
		return "a list"
	}
	return "a date or time"
}

func inQuotes(v any) string {
	switch v := v.(type) {
	case int64, bool:
		return fmt.Sprintf(`write "%v"`, v)
	case []any:
		if len(v) == 1 {
			if s, ok := v[0].(string); ok {
				return "write " + Quote(s)
			}
		}
	}
	return ""
}

// quoteKey writes a key as TOML does: in quotes unless it is plain.
func quoteKey(s string) string {
	plain := s != ""
	for _, r := range s {
		plain = plain && (r == '_' || r == '-' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z')
	}
	if plain {
		return s
	}
	return Quote(s)
}

// Quote writes s as a basic string of TOML 1.0. strconv.Quote would use
// escapes that TOML does not have.
func Quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\r':
			b.WriteString(`\r`)
		case r < ' ' || r >= 0x7f && r < 0xa0 || r == utf8.RuneError || r == 0x2028 || r == 0x2029:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
