// The walls of the house: who may import whom. The picture
// is in docs/architecture.md.
package house

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/stoxgw/stox/"

// rules name, for each room, what of ours it may import and which foreign
// libraries it may know. A room has its subfolders too, and the first rule that
// names it counts; a package that no rule names fails the test, so that a new room
// gets a rule of its own.
// Tests may in addition use the test helpers.
var rules = []struct {
	room    string
	ours    []string // packages of this module
	foreign []string // import paths outside the standard library, with what is below them
}{
	{"mapping", nil, []string{"golang.org/x/text", "golang.org/x/net/idna", "golang.org/x/net/html"}},
	{"component", []string{"mapping", "internal/hist"}, []string{"gosrc.io/xmpp/stanza", "golang.org/x/sys"}},
	{"sipside/locate", nil, []string{"github.com/miekg/dns"}},
	{"sipside/digest", nil, nil},
	{"sipside", []string{"mapping", "sipside/locate", "sipside/digest"}, []string{"github.com/emiago/sipgo/sip", "github.com/gobwas/ws", "golang.org/x/net/ipv4", "golang.org/x/net/ipv6", "golang.org/x/sys"}},
	{"internal/bridge", []string{"mapping", "internal/hist", "internal/texts"}, nil},
	{"internal/presence", []string{"mapping"}, nil},
	{"internal/blocks", []string{"mapping"}, nil},
	{"internal/commands", []string{"mapping", "internal/texts"}, nil},
	{"internal/texts", nil, nil}, // a dictionary: whoever speaks to users may look into it
	{"internal/accounts", []string{"mapping"}, nil},
	{"internal/history", []string{"mapping"}, nil},
	{"internal/config", nil, []string{"github.com/spf13/viper", "github.com/go-viper/mapstructure/v2", "github.com/pelletier/go-toml/v2"}},
	{"internal/store", []string{"internal/hist"}, []string{"modernc.org/sqlite", "github.com/pressly/goose/v3"}},
	{"internal/admin", []string{"internal/history"}, nil},
	{"internal/statuspage", []string{"internal/admin", "internal/history", "internal/hist"}, []string{"golang.org/x/net/html"}}, // its tests read what it writes
	{"internal/metrics", []string{"internal/hist"}, []string{"github.com/prometheus/client_golang/prometheus", "github.com/prometheus/client_model/go"}},
	{"internal/app", []string{"mapping", "component", "sipside", "internal/bridge", "internal/presence", "internal/accounts", "internal/blocks", "internal/commands", "internal/texts", "internal/store", "internal/admin", "internal/config", "internal/version", "internal/metrics", "internal/hist", "internal/history", "internal/statuspage", "internal/wire"}, []string{"github.com/coreos/go-systemd/v22/daemon"}},
	{"internal/doctor", []string{"mapping", "component", "sipside/digest", "sipside/locate", "internal/config", "internal/admin"}, nil},
	{"internal/cli", []string{"mapping", "internal/app", "internal/doctor", "internal/admin", "internal/history", "internal/config", "internal/version", "contrib"}, []string{"github.com/spf13/cobra", "golang.org/x/sys/unix"}}, // the policy that the kernel schedules threads by
	{"internal/version", nil, nil},
	{"internal/wire", []string{"mapping"}, nil},
	{"internal/hist", nil, nil}, // plain values: the rooms that count how long something takes need not know who looks
	{"internal/xmpptest", nil, nil},
	{"internal/siptest", []string{"sipside/locate"}, nil},
	{"internal/dnstest", nil, []string{"github.com/miekg/dns"}},
	{"internal/queuetest", []string{"mapping", "internal/bridge", "internal/store"}, nil},
	{"contrib/release", nil, nil},
	{"contrib", nil, nil},
	{"cmd/stox", []string{"internal/cli"}, nil},
	{"test/chaos", []string{"test", "internal/siptest"}, []string{"modernc.org/sqlite"}}, // locks the file of a running stox
	{"test/vectors", []string{"internal/app", "internal/config", "sipside/locate"}, nil}, // a whole daemon in memory
	{"test/trunk", []string{"internal/app", "internal/config", "mapping"}, nil},          // the same
	{"test/bench", []string{"internal/app", "internal/config"}, nil},                     // the same, measured
	{"test/torture", []string{"mapping", "sipside", "internal/siptest"}, nil},
	{"test/browser", []string{"internal/admin", "internal/hist", "internal/history", "internal/statuspage"}, nil}, // the pages, with what is made up
	{"test", []string{"test"}, nil},
}

// testHelpers may be imported by any test.
var (
	testHelpers = []string{"internal/xmpptest", "internal/siptest", "internal/queuetest", "internal/dnstest"}
	testForeign = []string{"pgregory.net/rapid", "go.uber.org/goleak", "github.com/google/go-cmp", "github.com/rogpeppe/go-internal", "mellium.im/xmpp/jid"}
)

func TestImportArrows(t *testing.T) {
	root := "../.."
	used := map[string]bool{}
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if n := d.Name(); n == ".git" || n == "testdata" || n == "bin" {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(file, ".go") {
			return nil
		}
		rel, _ := filepath.Rel(root, file)
		pkg := path.Dir(filepath.ToSlash(rel))
		i := slices.IndexFunc(rules, func(r struct {
			room    string
			ours    []string
			foreign []string
		}) bool {
			return pkg == r.room || strings.HasPrefix(pkg, r.room+"/")
		})
		if i < 0 {
			t.Errorf("%s: no rule names this room; add one to rules", pkg)
			return nil
		}
		r := rules[i]
		used[r.room] = true
		isTest := strings.HasSuffix(file, "_test.go")
		src, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, src, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range f.Imports {
			imp := strings.Trim(spec.Path.Value, `"`)
			if err := allowed(pkg, imp, r.ours, r.foreign, isTest); err != "" {
				t.Errorf("%s imports %s: %s", rel, imp, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rules {
		if !used[r.room] {
			t.Errorf("the rule for %q matches no package", r.room)
		}
	}
}

func allowed(pkg, imp string, ours, foreign []string, isTest bool) string {
	if own, ok := strings.CutPrefix(imp, module); ok {
		if own == pkg || slices.ContainsFunc(ours, func(p string) bool { return own == p || strings.HasPrefix(own, p+"/") }) {
			return ""
		}
		if isTest && slices.Contains(testHelpers, own) {
			return ""
		}
		return "this arrow is not in the picture"
	}
	if !strings.Contains(strings.SplitN(imp, "/", 2)[0], ".") {
		return "" // standard library
	}
	prefixes := foreign
	if isTest {
		prefixes = append(slices.Clone(foreign), testForeign...)
	}
	if slices.ContainsFunc(prefixes, func(p string) bool { return imp == p || strings.HasPrefix(imp, p+"/") }) {
		return ""
	}
	return "this room does not know that library"
}

// mapping is pure: no clock, randomness, I/O or logger (tests excepted). Of the
// standard library it may have what cannot do any of that; of time the durations.
func TestMappingIsPure(t *testing.T) {
	pure := []string{"bytes", "cmp", "compress/flate", "compress/gzip", "compress/zlib", "crypto/sha256", "encoding", "encoding/base64", "encoding/xml", "errors", "fmt", "io", "iter", "maps", "math/bits", "net/netip", "slices", "strconv", "strings", "time", "unicode", "unicode/utf8"}
	clock := regexp.MustCompile(`\btime\.(Now|Since|Until|Sleep|After|AfterFunc|Tick|NewTimer|NewTicker)\b`)
	files, err := filepath.Glob("../../mapping/*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files of mapping found: %v", err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range f.Imports {
			imp := strings.Trim(spec.Path.Value, `"`)
			if domain, _, _ := strings.Cut(imp, "/"); !strings.Contains(domain, ".") && !slices.Contains(pure, imp) {
				t.Errorf("%s imports %s", filepath.Base(file), imp)
			}
		}
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if call := clock.Find(src); call != nil {
			t.Errorf("%s asks the clock: %s", filepath.Base(file), call)
		}
	}
}
