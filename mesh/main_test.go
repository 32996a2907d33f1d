package mesh_test

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails the suite if a mesh, or a test, leaves a goroutine behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
