package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// Whoever names the wrong directory loses nothing but what was made here before.
func TestSweepAndSums(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"go.mod": "module mine", "stox_1.0.0_linux_amd64.tar.gz": "old", "SHA256SUMS": "old", "built/amd64/stox": "old", "container/root.tar": "mine"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := sweep(dir); err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(dir + "/*")
	if err != nil || !slices.Equal(left, []string{dir + "/container", dir + "/go.mod"}) {
		t.Fatalf("left: %q, %v", left, err)
	}
	for name, text := range map[string]string{"stox_b": "abc", "stox_a": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := sums(dir); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(dir, "SHA256SUMS"))
	const want = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  stox_a\n" +
		"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  stox_b\n"
	if err != nil || string(got) != want {
		t.Errorf("%s, %v", got, err)
	}
}
