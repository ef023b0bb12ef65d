package stage

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Terminal is a program with a screen, in a terminal that nobody looks at but we (tmux).
type Terminal struct {
	*Proc
	Width, Height int

	socket string
}

// Terminal starts a program in a terminal of its own. The terminal is that of dir, which
// is below the stage's directory, and ends with the stage.
func (r *Stage) Terminal(ctx context.Context, dir string, width, height int, env []string, command string) (*Terminal, error) {
	home := filepath.Join(r.Dir, dir)
	if err := os.MkdirAll(home, 0o755); err != nil {
		return nil, err
	}
	// The path of a socket may have some hundred bytes only, and that of a test may be longer.
	short, err := os.MkdirTemp("", "tmux-")
	if err != nil {
		return nil, err
	}
	t := &Terminal{Width: width, Height: height, socket: filepath.Join(short, "s")}
	conf, err := r.file(dir+"/tmux.conf", "set -g status off\nset -g default-terminal screen-256color\nset -s escape-time 0\n", 0o644)
	if err != nil {
		return nil, err
	}
	server := exec.Command("tmux", "-S", t.socket, "-f", conf, "-D")
	server.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "TERM=screen-256color", "TMUX=")
	if t.Proc, err = r.Start(server, "terminal of "+dir); err != nil {
		return nil, err
	}
	go func() {
		<-t.done
		os.RemoveAll(short)
	}()
	if err := poll(ctx, "tmux does not start", func() bool {
		_, err := os.Stat(t.socket)
		return err == nil
	}); err != nil {
		return nil, err
	}
	args := []string{"new-session", "-d", "-x", fmt.Sprint(width), "-y", fmt.Sprint(height), "-c", home}
	for _, e := range env {
		args = append(args, "-e", e)
	}
	_, err = t.tmux(append(args, command)...)
	return t, err
}

// tmux gives the terminal a command. It starts no other one if this has ended (-N).
func (t *Terminal) tmux(args ...string) (string, error) {
	out, err := exec.Command("tmux", append([]string{"-N", "-S", t.socket}, args...)...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("tmux %s: %w: %s", args[0], err, out)
	}
	return string(out), nil
}

// Type types a line and the key that ends it.
func (t *Terminal) Type(line string) error {
	if _, err := t.tmux("send-keys", "-l", "--", line); err != nil {
		return err
	}
	_, err := t.tmux("send-keys", "Enter")
	return err
}

// Screen is what the terminal shows.
func (t *Terminal) Screen() (string, error) { return t.tmux("capture-pane", "-p") }

// Colours is the screen with the escape sequences of its colours (ECMA-48 §8.3.117).
func (t *Terminal) Colours() (string, error) { return t.tmux("capture-pane", "-p", "-e") }

// Await waits until a line of the screen has all the words in it, and returns it.
func (t *Terminal) Await(ctx context.Context, words ...string) (line string, err error) {
	var screen string
	err = poll(ctx, fmt.Sprintf("%s does not show %q", t.Name, words), func() bool {
		if screen, err = t.Screen(); err != nil {
			return false
		}
		line = lineWith(screen, words)
		return line != ""
	})
	if err != nil {
		return "", fmt.Errorf("%w\n%s", err, screen)
	}
	return line, nil
}

// AwaitGone waits until the screen does not have a text.
func (t *Terminal) AwaitGone(ctx context.Context, text string) error {
	var screen string
	err := poll(ctx, fmt.Sprintf("%s still shows %q", t.Name, text), func() bool {
		var err error
		screen, err = t.Screen()
		return err == nil && !strings.Contains(screen, text)
	})
	if err != nil {
		return fmt.Errorf("%w\n%s", err, screen)
	}
	return nil
}

// Receipt looks whether a text of the user's own is on the screen, and whether the client
// takes it for delivered: Profanity draws it in another colour until a receipt has come.
func (t *Terminal) Receipt(text string) (delivered, shown bool, err error) {
	screen, err := t.Colours()
	if err != nil {
		return false, false, err
	}
	ink, shown := inkOf(screen, "me: ", text) // and not where it is being typed
	return ink == plain.ink, shown, nil
}

// AwaitReceipt waits until the client takes a text of the user's own for delivered.
func (t *Terminal) AwaitReceipt(ctx context.Context, text string) error {
	var fault error
	err := poll(ctx, fmt.Sprintf("%s shows no receipt for %q", t.Name, text), func() bool {
		var delivered, shown bool
		delivered, shown, fault = t.Receipt(text)
		return delivered && shown || fault != nil
	})
	if fault != nil {
		return fault
	}
	return err
}

// lineWith is the first line of a screen that has all the words in it, "" if there is none.
func lineWith(screen string, words []string) string {
	for line := range strings.Lines(screen) {
		all := true
		for _, w := range words {
			all = all && strings.Contains(line, w)
		}
		if all {
			return strings.TrimRight(line, " \n")
		}
	}
	return ""
}
