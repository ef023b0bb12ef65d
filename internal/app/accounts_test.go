package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stoxgw/stox/internal/accounts"
	"github.com/stoxgw/stox/internal/commands"
	"github.com/stoxgw/stox/internal/config"
	"github.com/stoxgw/stox/internal/texts"
)

const (
	keyOne = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
	keyTwo = "Hx4dHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA="
)

// withAccounts is a configuration whose users have accounts at the neighbour.
func withAccounts(path, mode string) []string {
	return append(keeping(path), ": [accounts]\nmode='"+mode+"'\nkey_file='FILES/accounts.key'",
		": [[sip.route]]\ndomain='example.net'\nvia='sip:"+neighbour.String()+"'\nfrom='account'")
}

// Faults of the key file, as stox check finds them.
func TestKeyFileFaults(t *testing.T) {
	dir := t.TempDir()
	for text, want := range map[string]string{
		keyOne:              "",
		"":                  "has no key",
		"short":             "line 1 is not base64 of 32 octets",
		keyOne + "\n" + "x": "line 2 is not base64 of 32 octets",
	} {
		if err := os.WriteFile(filepath.Join(dir, "accounts.key"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, "stox.toml")
		if err := os.WriteFile(file, []byte(strings.ReplaceAll(toml(withAccounts("", "optional")...), "FILES", dir)), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := config.Load(file, nil, judge)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), "accounts.key_file: ") || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v", text, err)
		}
		if err != nil && strings.Contains(err.Error(), keyOne) {
			t.Errorf("the error has the key: %v", err)
		}
	}
}

// A mode that others may read is warned of.
func TestKeyFileMode(t *testing.T) {
	dir := t.TempDir()
	key := filepath.Join(dir, "accounts.key")
	if err := os.WriteFile(key, []byte(keyOne), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(key, 0o644); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "stox.toml")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(toml(withAccounts("", "optional")...), "FILES", dir)), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(file, nil, judge)
	if err != nil {
		t.Fatal(err)
	}
	warned := false
	for _, w := range cfg.Warnings {
		warned = warned || w.Path == "accounts.key_file" && strings.Contains(w.Text, "can be read by other users") && strings.Contains(w.Hint, "chmod 600")
	}
	if !warned {
		t.Errorf("%v", cfg.Warnings)
	}
}

// Accounts are registered where the routes say, with a next hop or without one.
func TestHasVia(t *testing.T) {
	via := hasVia(&config.Config{SIP: config.SIP{Routes: []config.Route{{Domain: "dns.example"}, {Domain: "Pbx.Example.net", Via: "sip:192.0.2.1"}, {Domain: "*", Via: "sip:192.0.2.2"}}}})
	for domain, want := range map[string]bool{"dns.example": false, "pbx.example.net": true, "far.example": true} {
		if via(domain) != want {
			t.Errorf("%s: %v", domain, !want)
		}
	}
}

// Each problem of accounts has its sentence, in each language.
func TestProblemsHaveWords(t *testing.T) {
	for _, lang := range []string{"en", "de"} {
		words := texts.For(lang)
		for _, kind := range accounts.Kinds {
			if words.Problems[string(kind)] == "" {
				t.Errorf("%s: %s has no words", lang, kind)
			}
			p, ok := deskProblem(&accounts.Problem{Kind: kind, Status: 7, Seconds: 8}).(*commands.Problem)
			if !ok || *p != (commands.Problem{Kind: string(kind), Status: 7, Seconds: 8}) {
				t.Errorf("%s becomes %v", kind, p)
			}
		}
		for _, state := range []string{accounts.StateAsleep, "", "registered", "lost", "refused", "ending"} {
			if words.Labels.States[state] == "" {
				t.Errorf("%s: the state %q has no words", lang, state)
			}
		}
	}
	if deskProblem(nil) != nil {
		t.Error("nothing is a problem")
	}
}
