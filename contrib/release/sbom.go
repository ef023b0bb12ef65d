package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"
)

// component is one of CycloneDX, https://cyclonedx.org/docs/1.5/json/.
type component struct {
	Type    string `json:"type"`
	Ref     string `json:"bom-ref"`
	Name    string `json:"name"`
	Version string `json:"version"`
	PURL    string `json:"purl"`
	Hashes  []hash `json:"hashes,omitempty"`
}

type hash struct {
	Algorithm string `json:"alg"`
	Content   string `json:"content"`
}

// sbom writes what the program is made of, as the linker has recorded it in there. Its
// dependency graph is flat: the linker does not say who asked for what.
func sbom(src source, b built, file string) error {
	bin, err := os.ReadFile(filepath.Join(b.dir, "stox"))
	if err != nil {
		return err
	}
	sum := sha256.Sum256(bin)
	self := module(debug.Module{Path: b.info.Main.Path, Version: src.version})
	self.Type = "application"
	self.Hashes = []hash{{"SHA-256", hex.EncodeToString(sum[:])}}

	language := strings.TrimPrefix(b.goVersion, "go")
	parts := []component{{Type: "library", Ref: "pkg:golang/std@" + language, Name: "std", Version: language, PURL: "pkg:golang/std@" + language}}
	for _, m := range b.info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		c := module(*m)
		if c.Hashes, err = moduleHash(m.Sum); err != nil {
			return fmt.Errorf("%s: %w", m.Path, err)
		}
		parts = append(parts, c)
	}
	refs := make([]string, len(parts))
	for i, c := range parts {
		refs[i] = c.Ref
	}
	doc := map[string]any{
		"bomFormat":    "CycloneDX",
		"specVersion":  "1.5",
		"serialNumber": serial(sum),
		"version":      1,
		"metadata": map[string]any{
			"timestamp": src.time.Format(time.RFC3339),
			"component": self,
		},
		"components":   parts,
		"dependencies": []map[string]any{{"ref": self.Ref, "dependsOn": refs}},
	}
	text, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}

func module(m debug.Module) component {
	// A + in a version means a space unless it is escaped.
	purl := "pkg:golang/" + m.Path + "@" + strings.ReplaceAll(m.Version, "+", "%2B")
	return component{Type: "library", Ref: purl, Name: m.Path, Version: m.Version, PURL: purl}
}

// moduleHash is the h1: sum of go.sum, a SHA-256 over the module's files.
func moduleHash(sum string) ([]hash, error) {
	text, ok := strings.CutPrefix(sum, "h1:")
	if !ok {
		return nil, fmt.Errorf("there is no sum of it in the program")
	}
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, err
	}
	return []hash{{"SHA-256", hex.EncodeToString(b)}}, nil
}

// serial is a UUID (RFC 9562, version 8) made of the program's sum, and so the same for
// the same program.
func serial(sum [sha256.Size]byte) string {
	u := sum[:16]
	u[6] = u[6]&0x0f | 0x80
	u[8] = u[8]&0x3f | 0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}
