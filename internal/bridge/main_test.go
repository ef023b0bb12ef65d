package bridge

import (
	"testing"

	"go.uber.org/goleak"
)

// Whoever starts Run waits for it.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
