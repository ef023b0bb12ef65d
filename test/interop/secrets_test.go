//go:build interop

package interop

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stoxgw/stox/internal/dnstest"
	"github.com/stoxgw/stox/test/stage"
)

// quoted are the parameters of challenges and credentials that nobody else may know (RFC 7616 §5).
var quoted = regexp.MustCompile(`\b(nonce|cnonce|nextnonce|response|opaque)="([^"]{6,})"`)

// secretsIn finds what challenges and credentials in a text have that is nobody else's business.
func secretsIn(text string) []string {
	var all []string
	for _, m := range quoted.FindAllStringSubmatch(text, -1) {
		if !slices.Contains(all, m[2]) {
			all = append(all, m[2])
		}
	}
	return all
}

// keepsSecrets fails if one of the secrets is in anything that stox says (SEC-14): its log at
// debug level, what it tells the operator of the messages with these ids, what it answers the
// doctor, and what users have received. It also fails if there are less than atLeast of them.
func (w *world) keepsSecrets(secrets []string, atLeast int, ids []string, clients ...*stage.XMPPClient) {
	w.t.Helper()
	if len(secrets) < atLeast {
		w.t.Fatalf("%d secrets are known, which is too few to look for", len(secrets))
	}
	if !slices.ContainsFunc(w.stox.Env, func(v string) bool { return strings.HasPrefix(v, "STOX_SIP_RESOLVER=") }) {
		w.resolver(dnstest.Zone{}) // not the system's, which the doctor might wait for
	}
	said := map[string]string{"log": strings.Join(w.stox.Lines(), "\n")}
	for _, args := range [][]string{{"check"}, {"doctor"}, {"doctor", "--json"}, {"queue", "list"}, {"queue", "list", "--json"}} {
		out, _, err := w.stox.Command(w.ctx, args...)
		w.must(err)
		said[strings.Join(args, " ")] = out
	}
	for _, id := range ids {
		said["trail "+id] = w.operator("trail", id) + w.operator("trail", id, "--json")
		if !strings.Contains(said["trail "+id], id) {
			w.t.Errorf("the trail of %s is %q", id, said["trail "+id])
		}
	}
	for _, c := range clients {
		for _, st := range c.Stanzas() {
			said["what "+c.JID+" got"] += st.Raw + "\n"
		}
	}
	for where, text := range said {
		for _, secret := range secrets {
			if i := strings.Index(text, secret); i >= 0 {
				w.t.Errorf("a secret, %.60q, is in the %s: %.200q", secret, where, text[max(0, i-100):])
			}
		}
	}
}

func TestSecretsIn(t *testing.T) {
	t.Parallel()
	got := secretsIn(`Digest username="stox",realm="sip.test",nonce="abcdefgh",uri="sip:sip.test",response="0123456789abcdef",qop=auth,nc=00000001,cnonce="qwertz"` +
		"\n" + `Digest realm="sip.test", nonce="abcdefgh", opaque="op"`)
	if want := []string{"abcdefgh", "0123456789abcdef", "qwertz"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
