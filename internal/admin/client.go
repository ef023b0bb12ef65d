package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	askTimeout = time.Minute // what a search of a long queue may take
	maxAnswer  = 64 << 20    // bytes
)

// ErrNoDaemon means that there is no socket, or that nobody answers on it.
var ErrNoDaemon = errors.New("no daemon answers")

// Client asks a running daemon. It is a Queue.
type Client struct {
	path  string
	http  *http.Client
	first chan net.Conn // the connection of Dial, until it is used
}

// Dial connects to the daemon whose socket is at path. Errors: ErrNoDaemon, or one
// that says how to mend.
func Dial(ctx context.Context, path string) (*Client, error) {
	d := net.Dialer{Timeout: 10 * time.Second}
	first, err := d.DialContext(ctx, "unix", path)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOTDIR):
		return nil, fmt.Errorf("%w at %s", ErrNoDaemon, path)
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("%s: permission denied: run this as root or as the user that stox runs as", path)
	case err != nil:
		return nil, fmt.Errorf("cannot reach the daemon: %w", err)
	}
	c := &Client{path: path, first: make(chan net.Conn, 1)}
	c.first <- first
	c.http = &http.Client{Timeout: askTimeout, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			select {
			case conn := <-c.first:
				return conn, nil
			default:
				return d.DialContext(ctx, "unix", path)
			}
		},
		MaxConnsPerHost: 1,
	}}
	return c, nil
}

// Close ends the connection.
func (c *Client) Close() error {
	c.http.CloseIdleConnections()
	select {
	case conn := <-c.first:
		return conn.Close()
	default:
		return nil
	}
}

// List is Queue's.
func (c *Client) List(ctx context.Context, after uint64, n int) (Page, error) {
	return ask[Page](ctx, c, http.MethodGet, "queue/list", url.Values{"after": {strconv.FormatUint(after, 10)}, "n": {strconv.Itoa(n)}})
}

// Show is Queue's.
func (c *Client) Show(ctx context.Context, id string) (Message, error) {
	return ask[Message](ctx, c, http.MethodGet, "queue/show", url.Values{"id": {id}})
}

// Retry is Queue's.
func (c *Client) Retry(ctx context.Context, id string) (Message, error) {
	return ask[Message](ctx, c, http.MethodPost, "queue/retry", url.Values{"id": {id}})
}

// Drop is Queue's.
func (c *Client) Drop(ctx context.Context, id string) (Message, error) {
	return ask[Message](ctx, c, http.MethodPost, "queue/drop", url.Values{"id": {id}})
}

// Trail is Queue's.
func (c *Client) Trail(ctx context.Context, id string) ([]Step, error) {
	return ask[[]Step](ctx, c, http.MethodGet, "trail", url.Values{"id": {id}})
}

func ask[T any](ctx context.Context, c *Client, method, what string, query url.Values) (v T, err error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://stox/v1/"+what+"?"+query.Encode(), nil)
	if err != nil {
		return v, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return v, fmt.Errorf("the daemon at %s: %w", c.path, unwrapURL(err))
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return v, fmt.Errorf("the daemon at %s: %w", c.path, err)
	}
	isJSON := strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json")
	if resp.StatusCode == http.StatusOK && isJSON {
		if err := json.Unmarshal(body, &v); err != nil {
			return v, fmt.Errorf("the daemon at %s does not make sense: %w", c.path, err)
		}
		return v, nil
	}
	var e Error
	if isJSON && json.Unmarshal(body, &e) == nil && e.Code != "" {
		return v, &e
	}
	return v, &unknownError{fmt.Sprintf("the daemon at %s does not know this question (%s): is it of another version? Restart it", c.path, resp.Status)}
}

// unknownError is an ErrUnknown that says which daemon.
type unknownError struct{ text string }

func (e *unknownError) Error() string        { return e.text }
func (e *unknownError) Is(target error) bool { return target == ErrUnknown }

// unwrapURL takes away the address that means nothing to a reader.
func unwrapURL(err error) error {
	var e *url.Error
	if errors.As(err, &e) {
		if e.Timeout() {
			return errors.New("no answer in time")
		}
		return e.Err
	}
	return err
}
