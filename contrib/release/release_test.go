//go:build release

// With the tag release the tests make releases of the last commit, and look at them as
// those will who install them.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
)

const top = "../.."

// command runs a program in dir and returns its output.
func command(t *testing.T, dir string, env []string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// clone is the last commit in a directory of its own.
func clone(t *testing.T, dir string) string {
	t.Helper()
	from, err := filepath.Abs(top)
	if err != nil {
		t.Fatal(err)
	}
	command(t, ".", nil, "git", "clone", "-q", from, dir)
	// A clone of a worktree is on its branch, or on none; the commit is what counts.
	if got, want := command(t, dir, nil, "git", "rev-parse", "HEAD"), command(t, from, nil, "git", "rev-parse", "HEAD"); got != want {
		t.Fatalf("cloned %s, not %s", got, want)
	}
	return dir
}

func nfpm(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs(top + "/bin/nfpm")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%v: make bin/nfpm", err)
	}
	return path
}

// TestRelease: two people who make the same commit's release, each with a directory, a umask,
// a time zone and a build cache of their own, have the same files to the last bit.
func TestRelease(t *testing.T) {
	tool := nfpm(t)
	var outs [2]string
	for i, way := range []string{"umask 022; ", "umask 077; export TZ=Pacific/Auckland LC_ALL=C GOFLAGS=-v GOAMD64=v3 SOURCE_DATE_EPOCH=1 GOCACHE=" + t.TempDir() + "; "} {
		dir := clone(t, filepath.Join(t.TempDir(), fmt.Sprintf("tree-%d", i)))
		command(t, dir, nil, "sh", "-e", "-c", way+"go run ./contrib/release -clean -nfpm "+tool)
		outs[i] = filepath.Join(dir, "dist")
	}
	entries, err := os.ReadDir(outs[0])
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]int{}
	for _, e := range entries {
		a, err := os.ReadFile(filepath.Join(outs[0], e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(outs[1], e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(a, b) {
			t.Errorf("%s: %d bytes and %d bytes that differ", e.Name(), len(a), len(b))
		}
		kinds[regexp.MustCompile(`^.*(amd64|arm64)|^S.*`).ReplaceAllString(e.Name(), "$1")]++
	}
	want := []string{"", "amd64.cdx.json", "amd64.deb", "amd64.tar.gz", "arm64.cdx.json", "arm64.deb", "arm64.tar.gz"}
	for _, k := range want {
		if kinds[k] != 1 || len(entries) != len(want) {
			t.Errorf("%q is there %d times, of %d files", k, kinds[k], len(entries))
		}
	}
	command(t, outs[0], nil, "sha256sum", "--check", "--strict", "SHA256SUMS")
	t.Run("lintian", func(t *testing.T) { lint(t, outs[0]) })
	t.Run("archive", func(t *testing.T) { unpack(t, outs[0]) })
	t.Run("SBOM", func(t *testing.T) { compareSBOM(t, outs[0]) })
}

// lint: Debian's own checker has nothing to say, but for contrib/package/lintian-overrides.
func lint(t *testing.T, dir string) {
	debs, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil || len(debs) != 2 {
		t.Fatal(debs, err)
	}
	for _, deb := range debs {
		if out := command(t, dir, nil, "lintian", "--allow-root", "--fail-on", "error,warning", "--tag-display-limit", "0", deb); strings.Contains(out, "stox:") {
			t.Errorf("%s", out)
		}
	}
}

// unpack: the archive has a program that says which it is, and the manual.
func unpack(t *testing.T, dir string) {
	found, err := filepath.Glob(filepath.Join(dir, "*_"+runtime.GOARCH+".tar.gz"))
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	to := t.TempDir()
	command(t, to, nil, "tar", "-xzf", found[0])
	name := strings.TrimSuffix(filepath.Base(found[0]), ".tar.gz")
	version, _, _ := strings.Cut(strings.TrimPrefix(name, "stox_"), "_")
	if out := command(t, to, nil, "./"+name+"/stox", "version"); !strings.HasPrefix(out, "stox v"+version+" (") || strings.Contains(out, "dirty") {
		t.Errorf("%s says %s", name, out)
	}
	for _, f := range []string{"LICENSE", "THIRD-PARTY", "docs/getting-started.md", "docs/man/stox.1", "contrib/stox.service", "completions/stox.bash"} {
		if info, err := os.Stat(filepath.Join(to, name, f)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", f, err)
		}
	}
}

// compareSBOM: the list has what the Go tool finds in the program.
func compareSBOM(t *testing.T, dir string) {
	found, err := filepath.Glob(filepath.Join(dir, "*_"+runtime.GOARCH+".cdx.json"))
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	text, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	var doc struct{ Components []component }
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	var listed []string
	for _, c := range doc.Components {
		if c.Name != "std" {
			listed = append(listed, c.Name+" "+c.Version)
		}
	}
	to := t.TempDir()
	archive := strings.TrimSuffix(found[0], ".cdx.json") + ".tar.gz"
	command(t, to, nil, "tar", "-xzf", archive, "--strip-components=1")
	var built []string
	for line := range strings.Lines(command(t, to, nil, "go", "version", "-m", "stox")) {
		switch f := strings.Fields(line); {
		case len(f) > 2 && f[0] == "dep":
			built = append(built, f[1]+" "+f[2])
		case len(f) > 2 && f[0] == "=>": // go.mod replaces the last one
			built[len(built)-1] = f[1] + " " + f[2]
		}
	}
	if !slices.Equal(listed, built) || len(built) == 0 {
		t.Errorf("listed %q\nbuilt %q", listed, built)
	}
}

// TestDirty: what nobody could make again is not released.
func TestDirty(t *testing.T) {
	dir := clone(t, filepath.Join(t.TempDir(), "tree"))
	if err := os.WriteFile(filepath.Join(dir, "README.md"), []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "go", "run", "./contrib/release", "-clean", "-nfpm", nfpm(t))
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "not committed") {
		t.Errorf("%v\n%s", err, out)
	}
}
