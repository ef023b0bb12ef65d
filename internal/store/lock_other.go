//go:build !unix

package store

import (
	"fmt"
	"os"
)

// lockFile makes the file only: there is no lock here that the end of the process
// releases for certain.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("store: cannot lock: %w", err)
	}
	return f, nil
}
