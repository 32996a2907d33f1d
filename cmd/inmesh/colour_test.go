package main

import (
	"bytes"
	"os"
	"testing"

	"github.com/go-inmesh/inmesh/mesh"
)

// TestColour: on a terminal alone, and not where it is not wanted.
func TestColour(t *testing.T) {
	f := mesh.Finding{Severity: mesh.SeverityError, Message: "bad", Code: "MESH0001"}
	const plain, painted = "error: bad [MESH0001]", "\x1b[31merror:\x1b[0m bad [MESH0001]"
	r, pipe, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = r.Close(), pipe.Close() }()
	device, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0) // a device of characters, as terminals are
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = device.Close() }()

	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "")
	if got := painter(new(bytes.Buffer))(f); got != plain {
		t.Errorf("buffer: got %q, want %q", got, plain)
	}
	if got := painter(pipe)(f); got != plain {
		t.Errorf("pipe: got %q, want %q", got, plain)
	}
	if got := painter(device)(f); got != painted {
		t.Errorf("terminal: got %q, want %q", got, painted)
	}
	t.Setenv("NO_COLOR", "1")
	if got := painter(device)(f); got != plain {
		t.Errorf("NO_COLOR: got %q, want %q", got, plain)
	}
	t.Setenv("NO_COLOR", "")
	t.Setenv("TERM", "dumb")
	if got := painter(device)(f); got != plain {
		t.Errorf("dumb terminal: got %q, want %q", got, plain)
	}
}
