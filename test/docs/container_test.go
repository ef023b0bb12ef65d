//go:build install && !interop

package docs

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stoxgw/stox/test/stage"
)

// imageConfig is what an image says of how it is to be run.
type imageConfig struct {
	User, StopSignal string
	Env              []string
	Entrypoint, Cmd  []string
	Volumes          map[string]any
	Healthcheck      struct{ Test []string }
}

// The image is built as make container builds it, and what is in it runs as the image says,
// by chroot: without a container engine's privileges, which are not had everywhere.
func TestContainer(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	s, err := stage.New(t.TempDir())
	must(t, err)
	t.Cleanup(s.Close)
	dir := filepath.Join(scratch, "image")
	buildah := func(args ...string) []byte {
		t.Helper()
		store := filepath.Join(scratch, "buildah")
		cmd := exec.CommandContext(ctx, "buildah", append([]string{"--storage-driver", "vfs", "--root", store, "--runroot", store + "-run"}, args...)...)
		var said bytes.Buffer
		cmd.Stderr = &said
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("buildah %s: %v\n%s%s", args[0], err, out, said.String())
		}
		return out
	}
	buildah("build", "--isolation", "chroot", "--format", "docker", "-t", "localhost/stox", "-f", dir+"/Containerfile", dir)
	var image struct{ Docker struct{ Config imageConfig } }
	must(t, json.Unmarshal(buildah("inspect", "--type", "image", "localhost/stox"), &image))
	c := image.Docker.Config
	if c.User != "65532:65532" || c.Volumes["/var/lib/stox"] == nil || len(c.Healthcheck.Test) < 2 || c.Healthcheck.Test[0] != "CMD" {
		t.Fatalf("%+v", c)
	}
	name := strings.TrimSpace(string(buildah("from", "localhost/stox")))
	root := strings.TrimSpace(string(buildah("mount", name)))

	// Somebody to trust, and nothing to run but stox.
	authorities, err := os.ReadFile(filepath.Join(root, "etc/ssl/certs/ca-certificates.crt"))
	if n := bytes.Count(authorities, []byte("BEGIN CERTIFICATE")); err != nil || n < 50 {
		t.Errorf("%d certificates, %v", n, err)
	}
	if found, err := exec.Command("find", root, "-type", "f", "-perm", "/111").Output(); err != nil || string(found) != root+"/usr/bin/stox\n" {
		t.Errorf("programs: %s, %v", found, err)
	}

	sip := 25060 // this network is ours alone
	must(t, os.WriteFile(filepath.Join(root, "etc/stox/stox.toml"), fmt.Appendf(nil,
		"[xmpp]\ndomain = \"sip.example.com\"\nsecret = \"a-long-secret-of-ours\"\n[sip]\ndomain = \"example.net\"\nlisten = [\"udp://127.0.0.1:%d\"]\n", sip), 0o644))
	in := func(words []string) *exec.Cmd {
		cmd := exec.Command("chroot", append([]string{"--userspec=" + c.User, "--groups=", root}, words...)...)
		cmd.Env = c.Env
		return cmd
	}
	must(t, run(exec.Command("ip", "link", "set", "lo", "up")))
	stox, err := s.Start(in(slices.Concat(c.Entrypoint, c.Cmd)), "stox")
	must(t, err)
	_, _, err = stox.WaitLine(ctx, 0, "msg=ready")
	must(t, err)
	if out, err := in(c.Healthcheck.Test[1:]).CombinedOutput(); err != nil {
		t.Errorf("it is not well: %v\n%s", err, out)
	}
	// There is no XMPP server.
	if out, err := in([]string{"/usr/bin/stox", "health"}).CombinedOutput(); err == nil || !strings.Contains(string(out), "fail link: ") {
		t.Errorf("it is ready: %v\n%s", err, out)
	}
	if _, err := os.Stat(filepath.Join(root, "var/lib/stox/stox.db")); err != nil {
		t.Errorf("nothing is kept: %v", err)
	}
	if status, err := stox.Stop(ctx); err != nil || status != 0 {
		t.Errorf("it ended with %d, %v\n%s", status, err, stox.Tail(20))
	}
	if out, err := in(c.Healthcheck.Test[1:]).CombinedOutput(); err == nil {
		t.Errorf("it is well when it is gone\n%s", out)
	}
}
