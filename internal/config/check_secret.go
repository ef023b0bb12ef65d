package config

import (
	"fmt"
	"strings"
	"unicode"
)

// shortSecret is the length below which a secret is worth a warning. stox init
// makes 26 letters.
const shortSecret = 12

// secret takes a secret from its key or from the file that the other key names,
// and judges it without ever quoting it. missing is the hint if there is neither;
// "" if there need not be one.
func (p *parser) secret(path, filePath string, value *Secret, file, missing string) {
	if p.bad[path] || p.bad[filePath] {
		return
	}
	has, hasFile := p.origin[path] != "", p.origin[filePath] != ""
	switch {
	case has && hasFile:
		p.fault(filePath, "contradicts "+path, "keep one of the two")
	case hasFile:
		if file == "" {
			p.fault(filePath, "is empty", "")
			return
		}
		b, mode, err := p.readFile(file)
		if err != nil {
			p.fault(filePath, Quote(file)+" "+cannotRead(err), "it must exist and be readable by the user that stox runs as")
			return
		}
		if mode.Perm()&0o027 != 0 {
			p.warn(filePath, fmt.Sprintf("%s can be read by other users (mode %04o)", Quote(file), mode.Perm()), "chmod 600 "+file)
		}
		*value = Secret(strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r"))
		p.goodSecret(filePath, *value)
	case has:
		p.goodSecret(path, *value)
	case missing != "":
		p.fault(path, "is missing", missing)
	}
}

func (p *parser) goodSecret(path string, s Secret) {
	switch {
	case s == "":
		p.fault(path, "the secret is empty", "")
	case s == exampleSecret:
		p.fault(path, "the secret is the one of the example", "stox init makes a good one")
	case strings.ContainsFunc(string(s), unicode.IsControl):
		p.fault(path, "the secret has more than one line, or control characters", "")
	case s == masked:
		p.warn(path, "the secret is the stars that stox check prints", "write the secret itself")
	case strings.TrimSpace(string(s)) != string(s):
		p.warn(path, "the secret begins or ends with a space", "the other side must have it so, too")
	case len(s) < shortSecret && oursToChoose(stripIndices(path)):
		p.warn(path, fmt.Sprintf("the secret is short (fewer than %d characters)", shortSecret), "whoever guesses it can speak for everybody; stox init makes a good one")
	}
}

// oursToChoose reports whether a secret is between the admin's own programs: what
// providers hand out for a route or a peer is not for the admin to choose.
func oursToChoose(path string) bool {
	table := tableOf(path)
	return table == nil || table.path == "domain"
}
