// Command release makes what people install: for each architecture a Debian package, an
// archive, and a list of what is in the program (SBOM), and over all of them SHA256SUMS.
// It is run from the top of the tree, by make.
//
// The same commit, with the same Go and the same nfpm, gives the same bytes on any machine:
// paths and times of the build are in none of the files. Every time is that of the commit.
package main

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

func main() {
	var o options
	arch := flag.String("arch", "amd64,arm64", "`architectures`, as Go names them")
	flag.StringVar(&o.out, "out", "dist", "the `directory` for what is made; what was made there before is removed")
	flag.StringVar(&o.nfpm, "nfpm", "bin/nfpm", "the `program` nfpm")
	flag.StringVar(&o.version, "version", "", "the `version`, instead of that of the commit")
	flag.BoolVar(&o.clean, "clean", false, "refuse a tree with changes that are not committed")
	flag.StringVar(&o.image, "image", "", "make the root file system of the container image for this one `architecture`, and nothing else")
	flag.Parse()
	o.arch = strings.Split(*arch, ",")
	if err := release(o); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

type options struct {
	arch               []string
	out, nfpm, version string
	clean              bool
	image              string
}

func release(o options) error {
	src, err := readSource()
	if err != nil {
		return err
	}
	if o.clean && src.dirty {
		return fmt.Errorf("there are changes that are not committed, so nobody could make this again: git status")
	}
	if o.version != "" {
		src.version = o.version
	}
	if err := sweep(o.out); err != nil {
		return err
	}
	if o.image != "" {
		return image(src, o.image, o.out)
	}
	built := filepath.Join(o.out, "built")
	defer os.RemoveAll(built)
	for _, arch := range o.arch {
		b, err := build(src, arch, filepath.Join(built, arch))
		if err != nil {
			return err
		}
		name := fmt.Sprintf("stox_%s_linux_%s", strings.TrimPrefix(src.version, "v"), arch)
		if err := debian(src, b, o); err != nil {
			return err
		}
		if err := archive(src, b, filepath.Join(o.out, name+".tar.gz"), name); err != nil {
			return err
		}
		if err := sbom(src, b, filepath.Join(o.out, name+".cdx.json")); err != nil {
			return err
		}
	}
	return sums(o.out)
}

// sweep makes the directory and removes what an earlier run has left there, and nothing else.
func sweep(out string) error {
	for _, pattern := range []string{"stox_*", "SHA256SUMS", "root.tar", "Containerfile", "built"} {
		found, err := filepath.Glob(filepath.Join(out, pattern))
		if err != nil {
			return err
		}
		for _, f := range found {
			if err := os.RemoveAll(f); err != nil {
				return err
			}
		}
	}
	return os.MkdirAll(out, 0o755)
}

// debian makes the package of what was built.
func debian(src source, b built, o options) error {
	if _, err := os.Stat(o.nfpm); err != nil {
		return fmt.Errorf("%s is not there: make %s", o.nfpm, o.nfpm)
	}
	cmd := exec.Command(o.nfpm, "package", "--packager", "deb", "--config", "contrib/package/nfpm.yaml", "--target", o.out)
	cmd.Env = append(os.Environ(),
		"ARCH="+b.arch, "BUILT="+b.dir, "DEB_VERSION="+debianVersion(src.version),
		fmt.Sprintf("SOURCE_DATE_EPOCH=%d", src.time.Unix()))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("nfpm: %w\n%s", err, out)
	}
	return nil
}

// sums writes SHA256SUMS of what was made in dir, as sha256sum --check reads it.
func sums(dir string) error {
	files, err := filepath.Glob(filepath.Join(dir, "stox_*")) // sorted
	if err != nil {
		return err
	}
	var lines []string
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		lines = append(lines, fmt.Sprintf("%x  %s\n", sha256.Sum256(b), filepath.Base(f)))
	}
	return os.WriteFile(filepath.Join(dir, "SHA256SUMS"), []byte(strings.Join(lines, "")), 0o644)
}
