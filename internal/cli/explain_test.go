package cli

import (
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stoxgw/stox/internal/app"
	"github.com/stoxgw/stox/internal/config"
)

var update = flag.Bool("update", false, "write the golden and the generated files")

// golden compares got with a file, or writes it with -update.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s is stale (go generate ./internal/cli); -file +now\n%s", file, diff)
	}
}

// TestExplain: what check says about configurations, word for word. The machine
// sends from 192.0.2.55.
func TestExplain(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "explain", "*.toml"))
	if err != nil || len(files) < 3 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		cfg, err := config.Load(file, nil, judge)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		rules, err := app.BuildRules(cfg)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		got := explain(cfg, rules, func() (netip.Addr, bool) { return netip.MustParseAddr("192.0.2.55"), true })
		golden(t, strings.TrimSuffix(file, ".toml")+".txt", got)
	}
}

// TestExplainWithoutNetwork: a machine that cannot send says no address.
func TestExplainWithoutNetwork(t *testing.T) {
	cfg, err := config.Load(filepath.Join("testdata", "explain", "least.toml"), nil)
	if err != nil {
		t.Fatal(err)
	}
	rules, err := app.BuildRules(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, none := range []func() (netip.Addr, bool){nil, func() (netip.Addr, bool) { return netip.Addr{}, false }} {
		if got := explain(cfg, rules, none); !strings.Contains(got, "Via says the address that this machine sends from. If SIP sees") {
			t.Error(got)
		}
	}
}
