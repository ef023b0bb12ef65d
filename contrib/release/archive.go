package main

import (
	"archive/tar"
	"bytes"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// tree is a tar file in the making. All of it has the same time.
type tree struct {
	buf  bytes.Buffer
	w    *tar.Writer
	time time.Time
	made map[string]bool // directories
}

func newTree(t time.Time) *tree {
	a := &tree{time: t, made: map[string]bool{}}
	a.w = tar.NewWriter(&a.buf)
	return a
}

// dir adds a directory and those above it, which belong to root.
func (a *tree) dir(name string, mode fs.FileMode, owner int) error {
	if name == "." || name == "/" || a.made[name] {
		return nil
	}
	if err := a.dir(path.Dir(name), 0o755, 0); err != nil {
		return err
	}
	a.made[name] = true
	return a.w.WriteHeader(a.header(name+"/", tar.TypeDir, mode, owner, 0))
}

// file adds a file of root's.
func (a *tree) file(name string, mode fs.FileMode, text []byte) error {
	if err := a.dir(path.Dir(name), 0o755, 0); err != nil {
		return err
	}
	if err := a.w.WriteHeader(a.header(name, tar.TypeReg, mode, 0, len(text))); err != nil {
		return err
	}
	_, err := a.w.Write(text)
	return err
}

func (a *tree) header(name string, kind byte, mode fs.FileMode, owner, size int) *tar.Header {
	bits := int64(mode.Perm())
	if mode&fs.ModeSticky != 0 {
		bits |= 0o1000
	}
	return &tar.Header{Name: name, Typeflag: kind, Mode: bits, Uid: owner, Gid: owner, Size: int64(size), ModTime: a.time, Format: tar.FormatUSTAR}
}

// copy adds a file of this machine.
func (a *tree) copy(name, from string, mode fs.FileMode) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return a.file(name, mode, text)
}

func (a *tree) bytes() ([]byte, error) {
	err := a.w.Close()
	return a.buf.Bytes(), err
}

// archive makes the archive for those who have no package manager that we know: the
// program and all that lies beside it, below one directory.
func archive(src source, b built, file, top string) error {
	a := newTree(src.time)
	if err := a.copy(top+"/stox", filepath.Join(b.dir, "stox"), 0o755); err != nil {
		return err
	}
	files := []string{"README.md", "LICENSE", "CHANGELOG.md"}
	for _, pattern := range []string{"docs/*.md", "docs/man/*", "docs/pictures/*", "contrib/*"} {
		found, err := filepath.Glob(pattern) // sorted
		if err != nil {
			return err
		}
		for _, f := range found {
			if info, err := os.Stat(f); err != nil {
				return err
			} else if info.Mode().IsRegular() && !strings.HasSuffix(f, ".go") {
				files = append(files, f)
			}
		}
	}
	for _, f := range files {
		if err := a.copy(top+"/"+filepath.ToSlash(f), f, 0o644); err != nil {
			return err
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		if err := a.copy(top+"/completions/stox."+shell, filepath.Join(b.dir, "completion."+shell), 0o644); err != nil {
			return err
		}
	}
	if err := a.file(top+"/THIRD-PARTY", 0o644, b.notices); err != nil {
		return err
	}
	text, err := a.bytes()
	if err != nil {
		return err
	}
	return writeGzip(file, text)
}
