package mapping

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"strings"
)

// maxCodings is how many codings a body may have one over the other: one is what is seen.
const maxCodings = 3

// inflate undoes the codings of a Content-Encoding (CT-13, M-063 to M-065): gzip,
// deflate and identity, also several, which were applied in their order (RFC 9110 §8.4).
// Together with all else in the request the result is at most maxInflated octets, and
// no more than that is ever in memory; one over it is 413. Broken data is 400, other codings are 415.
func (d *reading) inflate(b []byte, codings string) ([]byte, *Failure) {
	if codings == "" {
		return b, nil
	}
	var applied []string
	for c := range strings.SplitSeq(codings, ",") {
		switch c = lower(strings.Trim(c, " \t")); c {
		case "", "identity":
		case "gzip", "x-gzip", "deflate":
			applied = append(applied, c)
		default:
			return nil, FailUnsupportedEncoding()
		}
	}
	if len(applied) > maxCodings {
		return nil, FailUnsupportedEncoding()
	}
	if len(applied) == 0 || len(b) == 0 {
		return b, nil
	}
	for i := len(applied) - 1; i >= 0; i-- {
		open := inflateGzip
		if applied[i] == "deflate" {
			open = inflateDeflate
		}
		var err error
		if b, err = open(b, d.left); errors.Is(err, errTooMuch) {
			return nil, FailTooLarge(0)
		} else if err != nil {
			return nil, FailBadRequest("Content-Encoding")
		}
	}
	d.left -= len(b)
	return b, nil
}

var (
	errTooMuch  = errors.New("mapping: more octets than there may be")
	errTrailing = errors.New("mapping: something follows the compressed data")
)

func inflateGzip(b []byte, most int) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	return readAtMost(r, most)
}

// inflateDeflate takes the zlib format (RFC 1950), which is what the name means, and
// raw deflate data (RFC 1951), which others send under it.
func inflateDeflate(b []byte, most int) ([]byte, error) {
	src := bytes.NewReader(b)
	if r, err := zlib.NewReader(src); err == nil {
		return readWhole(r, src, most)
	}
	src.Reset(b)
	return readWhole(flate.NewReader(src), src, most)
}

// readWhole is readAtMost for data that ends where src does.
func readWhole(r io.Reader, src *bytes.Reader, most int) ([]byte, error) {
	out, err := readAtMost(r, most)
	if err == nil && src.Len() > 0 {
		err = errTrailing
	}
	return out, err
}

func readAtMost(r io.Reader, most int) ([]byte, error) {
	out, err := io.ReadAll(io.LimitReader(r, int64(most)+1))
	if len(out) > most {
		return nil, errTooMuch
	}
	return out, err
}
