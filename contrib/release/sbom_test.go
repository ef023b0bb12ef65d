package main

import (
	"debug/buildinfo"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
	"time"
)

// The list has the program with its sum, Go, and each module with the one of go.sum; a
// replaced module as what it was replaced by.
func TestSBOM(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "stox"), []byte("a program"), 0o755); err != nil {
		t.Fatal(err)
	}
	const sum = "h1:LAEzFkke61DFROc7zNLX/WA2i5J8gYqe0rSj9KI28KA="
	b := built{dir: dir, goVersion: "go1.26.8", info: &buildinfo.BuildInfo{
		Main: debug.Module{Path: "github.com/stoxgw/stox"},
		Deps: []*debug.Module{
			{Path: "example.org/a", Version: "v1.0.0", Sum: sum},
			{Path: "example.org/b", Version: "v1.0.0", Replace: &debug.Module{Path: "example.org/c", Version: "v2.0.0+incompatible", Sum: sum}},
		},
	}}
	src := source{version: "v1.2.3", time: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	file := filepath.Join(dir, "list.json")
	if err := sbom(src, b, file); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		BOMFormat, SpecVersion, SerialNumber string
		Metadata                             struct {
			Timestamp string
			Component component
		}
		Components   []component
		Dependencies []struct {
			Ref       string
			DependsOn []string
		}
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	if doc.BOMFormat != "CycloneDX" || doc.SpecVersion != "1.5" || doc.Metadata.Timestamp != "2026-03-01T12:00:00Z" {
		t.Errorf("%+v", doc)
	}
	self := doc.Metadata.Component
	if self.PURL != "pkg:golang/github.com/stoxgw/stox@v1.2.3" || self.Hashes[0].Content != "d69ea8cda2433733c1ce02de65da8f48e6a3dbba6bb18876a2062908e54ef7cb" {
		t.Errorf("%+v", self)
	}
	var got []string
	for _, c := range doc.Components {
		got = append(got, c.PURL)
	}
	if want := "pkg:golang/std@1.26.8 pkg:golang/example.org/a@v1.0.0 pkg:golang/example.org/c@v2.0.0%2Bincompatible"; strings.Join(got, " ") != want {
		t.Errorf("%q", got)
	}
	if h := doc.Components[1].Hashes[0]; h.Algorithm != "SHA-256" || h.Content != "2c013316491eeb50c544e73bccd2d7fd60368b927c818a9ed2b4a3f4a236f0a0" {
		t.Errorf("%+v", h)
	}
	if d := doc.Dependencies; len(d) != 1 || d[0].Ref != self.Ref || len(d[0].DependsOn) != 3 {
		t.Errorf("%+v", d)
	}
	b.info.Deps[0].Sum = ""
	if err := sbom(src, b, file); err == nil {
		t.Error("a module without a sum is in it")
	}
}
