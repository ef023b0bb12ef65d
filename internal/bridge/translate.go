package bridge

import (
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"
)

// translate calls one of the two directions of mapping.Rules. That is where the
// writings of strangers are looked into: a fault there costs the one message,
// whose sender gets an internal error, and not the process. The value of a panic
// may have the text of the message in it and is kept out of the log.
func translate[A, B any](log *slog.Logger, rule func(A) ([]B, error), v A) (out []B, err error) {
	defer func() {
		r := recover()
		if r == nil {
			return
		}
		what := fmt.Sprintf("%T", r)
		if e, ok := r.(runtime.Error); ok {
			what = e.Error()
		}
		log.Error("panic while translating a message; the message is refused, please report this", "err", what, "stack", string(debug.Stack()))
		out, err = nil, fmt.Errorf("bridge: panic: %s", what)
	}()
	return rule(v)
}
