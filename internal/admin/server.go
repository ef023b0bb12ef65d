package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
)

const (
	maxPage = 1000 // rows of one answer
	maxID   = 1024 // bytes
)

// Server answers on a Unix socket.
type Server struct {
	path  string
	queue Queue
	log   *slog.Logger

	socket *socket // of Listen
}

// NewServer makes a Server for the socket at path; with an empty one nobody is
// answered. It opens nothing.
func NewServer(path string, queue Queue, log *slog.Logger) *Server {
	return &Server{path: path, queue: queue, log: log}
}

// Listen opens the socket, so that the daemon can say what is wrong before it is
// ready. Run does it if nobody else did. Errors say how to mend; ErrPlace is among them.
func (s *Server) Listen() error {
	if s.path == "" {
		return nil
	}
	socket, err := openSocket(context.Background(), s.path)
	if err != nil {
		return fmt.Errorf("admin.socket: %w", err)
	}
	s.socket = socket
	return nil
}

// Close gives the socket of Listen back if Run is not going to be called.
func (s *Server) Close() error {
	if s.socket == nil {
		return nil
	}
	return s.socket.Close()
}

// Run answers until ctx is done, lets answers that are being given end, within
// bounds, waits for everything it started and removes the socket. It is called once.
func (s *Server) Run(ctx context.Context) error {
	if s.socket == nil {
		if err := s.Listen(); err != nil {
			return err
		}
	}
	if s.socket == nil {
		<-ctx.Done()
		return nil
	}
	defer s.socket.Close()

	return serveOn(ctx, s.socket.bounded, s.handler(), s.log)
}

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/queue/list", answer(s.list))
	mux.HandleFunc("GET /v1/queue/show", answer(byID(s.queue.Show)))
	mux.HandleFunc("POST /v1/queue/retry", answer(byID(s.queue.Retry)))
	mux.HandleFunc("POST /v1/queue/drop", answer(byID(s.queue.Drop)))
	mux.HandleFunc("GET /v1/trail", answer(byID(s.queue.Trail)))
	mux.HandleFunc("GET /v1/history", answer(byID(s.history)))
	mux.HandleFunc("GET /v1/links", answer(s.links))
	mux.HandleFunc("GET /v1/routes", answer(s.routes))
	mux.HandleFunc("GET /v1/presence/list", answer(s.relations))
	mux.HandleFunc("GET /v1/presence/show", answer(s.relation))
	mux.HandleFunc("POST /v1/presence/cancel", answer(s.cancel))
	mux.HandleFunc("GET /v1/block/list", answer(s.blocks))
	mux.HandleFunc("POST /v1/block/add", answer(s.block))
	mux.HandleFunc("POST /v1/block/remove", answer(s.unblock))
	mux.HandleFunc("GET /v1/usage", answer(s.usage))
	mux.HandleFunc("GET /v1/health", answer(s.health))
	mux.HandleFunc("POST /v1/reload", answer(s.reload))
	mux.HandleFunc("GET /v1/wire", s.tracing(wireNow))
	mux.HandleFunc("POST /v1/wire/on", s.tracing(wireOn))
	mux.HandleFunc("POST /v1/wire/off", s.tracing(wireOff))
	return mux
}

func (s *Server) list(r *http.Request) (Page, error) {
	q := r.URL.Query()
	after, err := strconv.ParseUint(q.Get("after"), 10, 64)
	if err != nil && q.Has("after") {
		return Page{}, ErrRequest.With("after is no number")
	}
	n, err := pageSize(q)
	if err != nil {
		return Page{}, err
	}
	return s.queue.List(r.Context(), after, n)
}

// pageSize is how many rows are asked for.
func pageSize(q url.Values) (int, error) {
	n, err := strconv.Atoi(q.Get("n"))
	if err != nil && q.Has("n") || n < 0 {
		return 0, ErrRequest.With("n is no number")
	}
	if n == 0 || n > maxPage {
		n = maxPage
	}
	return n, nil
}

// byID makes a handler of a question about one message.
func byID[T any](ask func(context.Context, string) (T, error)) func(*http.Request) (T, error) {
	return func(r *http.Request) (T, error) {
		var zero T
		id := r.URL.Query().Get("id")
		if id == "" {
			return zero, ErrRequest.With("the id is missing")
		}
		if len(id) > maxID {
			return zero, ErrRequest.With("the id is longer than any that stox knows")
		}
		return ask(r.Context(), id)
	}
}

// answer writes what f returns.
func answer[T any](f func(*http.Request) (T, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v, err := f(r)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) {
				e = ErrFailed.With(err.Error())
			}
			writeJSON(w, statusOf(e), e)
			return
		}
		writeJSON(w, http.StatusOK, v)
	}
}

func statusOf(e *Error) int {
	switch e.Code {
	case ErrNotFound.Code:
		return http.StatusNotFound
	case ErrAmbiguous.Code, ErrUnderWay.Code:
		return http.StatusConflict
	case ErrRequest.Code:
		return http.StatusBadRequest
	}
	return http.StatusInternalServerError
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil { // a time beyond the year 9999
		status, b = http.StatusInternalServerError, []byte(`{"error":"failed","text":"the answer cannot be written down"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, string(b)+"\n") // if that fails nobody listens
}
