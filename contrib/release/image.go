package main

import (
	"fmt"
	"os"
	"path/filepath"
)

// imageUser is the user of the container. It has no name there, and no rights anywhere.
const imageUser = 65532

// roots is where Linux distributions keep the certificates of the authorities that they trust.
var roots = []string{"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem"}

// image makes the root file system of the container image, which Containerfile adds, and
// the Containerfile beside it. The certificates of authorities are those of this machine.
func image(src source, arch, out string) error {
	dir := filepath.Join(out, "built")
	defer os.RemoveAll(dir)
	b, err := build(src, arch, dir)
	if err != nil {
		return err
	}
	a := newTree(src.time)
	steps := []func() error{
		func() error { return a.dir("etc/stox", 0o755, 0) },
		func() error { return a.dir("tmp", os.ModeSticky|0o777, 0) },
		// A new volume takes owner and mode from here.
		func() error { return a.dir("var/lib/stox", 0o700, imageUser) },
		func() error { return a.copy("usr/bin/stox", filepath.Join(dir, "stox"), 0o755) },
		func() error { return a.copy("usr/share/doc/stox/LICENSE", "LICENSE", 0o644) },
		func() error { return a.file("usr/share/doc/stox/THIRD-PARTY", 0o644, b.notices) },
		func() error {
			for _, from := range roots {
				if _, err := os.Stat(from); err == nil {
					return a.copy("etc/ssl/certs/ca-certificates.crt", from, 0o644)
				}
			}
			return fmt.Errorf("this machine has no certificates of authorities: install ca-certificates")
		},
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	text, err := a.bytes()
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(out, "root.tar"), text, 0o644); err != nil {
		return err
	}
	file, err := os.ReadFile("contrib/package/Containerfile")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(out, "Containerfile"), file, 0o644)
}
