package main

import (
	"bytes"
	"compress/gzip"
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// built is what was made for one architecture.
type built struct {
	arch      string
	dir       string // where it lies
	goVersion string
	info      *buildinfo.BuildInfo // of the program: what the linker has put into it
	notices   []byte               // licences of others
}

// build makes the program for an architecture, and what is derived from it, in dir.
func build(src source, arch, dir string) (built, error) {
	b := built{arch: arch, dir: dir}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return b, err
	}
	bin := filepath.Join(dir, "stox")
	if err := compile(src, arch, bin); err != nil {
		return b, err
	}
	var err error
	if b.info, err = buildinfo.ReadFile(bin); err != nil {
		return b, err
	}
	b.goVersion = b.info.GoVersion
	if b.notices, err = notices(b.info); err != nil {
		return b, err
	}
	// The commands are the same for all, but only a program of this machine can be asked.
	asked := bin
	if arch != runtime.GOARCH {
		asked = filepath.Join(dir, "stox-here")
		if err := compile(src, runtime.GOARCH, asked); err != nil {
			return b, err
		}
		defer os.Remove(asked)
	}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		out, err := exec.Command(asked, "completion", shell).Output()
		if err != nil {
			return b, fmt.Errorf("stox completion %s: %w", shell, err)
		}
		if err := os.WriteFile(filepath.Join(dir, "completion."+shell), out, 0o644); err != nil {
			return b, err
		}
	}
	for name, from := range map[string]string{"stox.1.gz": "docs/man/stox.1", "stox.toml.5.gz": "docs/man/stox.toml.5", "changelog.gz": "CHANGELOG.md"} {
		text, err := os.ReadFile(from)
		if err != nil {
			return b, err
		}
		if err := writeGzip(filepath.Join(dir, name), text); err != nil {
			return b, err
		}
	}
	if err := writeGzip(filepath.Join(dir, "changelog.Debian.gz"), []byte(debianChangelog(src))); err != nil {
		return b, err
	}
	return b, writeGzip(filepath.Join(dir, "THIRD-PARTY.gz"), b.notices)
}

// compile makes the program. Nothing of this machine or of the caller's settings is in it.
func compile(src source, arch, out string) error {
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=true",
		"-ldflags", "-s -w -X github.com/stoxgw/stox/internal/version.version="+src.version, "-o", out, "./cmd/stox")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch,
		"GOAMD64=v1", "GOARM64=v8.0", "GOFLAGS=-mod=readonly", "GOEXPERIMENT=", "GOFIPS140=off", "GOTOOLCHAIN=local", "GOWORK=off")
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build for %s: %w\n%s", arch, err, text)
	}
	return nil
}

// writeGzip writes text compressed, without a name or a time.
func writeGzip(path string, text []byte) error {
	b, err := compressed(text)
	if err != nil {
		return err
	}
	return os.WriteFile(path, b, 0o644)
}

func compressed(text []byte) ([]byte, error) {
	var buf bytes.Buffer
	w, err := gzip.NewWriterLevel(&buf, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(text); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

// debianChangelog is that of the package, which has no history of its own.
func debianChangelog(src source) string {
	return fmt.Sprintf(`stox (%s-1) unstable; urgency=medium

  * What has changed is in /usr/share/doc/stox/changelog.gz.

 -- The stox authors <stoxgw@users.noreply.github.com>  %s
`, debianVersion(src.version), src.time.Format("Mon, 02 Jan 2006 15:04:05 -0700"))
}

// notices are the licences of what is linked into the program, which go with every copy.
func notices(info *buildinfo.BuildInfo) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("What others have written and stox has in it, with the licence of each.\n")
	root, err := goEnv("GOROOT")
	if err != nil {
		return nil, err
	}
	if err := notice(&b, "Go "+strings.TrimPrefix(info.GoVersion, "go"), root); err != nil {
		return nil, err
	}
	for _, m := range info.Deps {
		out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", m.Path).Output() // of what replaces it, if go.mod says so
		if err != nil {
			return nil, fmt.Errorf("go list -m %s: %w", m.Path, err)
		}
		if m.Replace != nil {
			m = m.Replace
		}
		if err := notice(&b, m.Path+" "+m.Version, strings.TrimSpace(string(out))); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}

// notice appends the licence files in dir. There is no module without one.
func notice(b *bytes.Buffer, title, dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	found := false
	for _, e := range entries { // sorted by name
		if e.IsDir() || !isNotice(e.Name()) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return err
		}
		found = true
		fmt.Fprintf(b, "\n%s\n%s: %s\n%[1]s\n\n%[4]s\n", strings.Repeat("-", 72), title, e.Name(), bytes.TrimSpace(text))
	}
	if !found {
		return fmt.Errorf("%s has no licence file in %s", title, dir)
	}
	return nil
}

func isNotice(name string) bool {
	return slices.ContainsFunc([]string{"LICENSE", "LICENCE", "COPYING", "NOTICE", "PATENTS"}, func(p string) bool {
		return strings.HasPrefix(strings.ToUpper(name), p)
	})
}

func goEnv(name string) (string, error) {
	out, err := exec.Command("go", "env", name).Output()
	if err != nil {
		return "", fmt.Errorf("go env %s: %w", name, err)
	}
	return strings.TrimSpace(string(out)), nil
}
