package structure_test

import (
	"slices"
	"strings"
	"testing"
)

// rooms are the packages that are useful alone. What is below one belongs to it, but for route/balance.
var rooms = []string{"route/balance", "route", "fault", "breaker", "identity", "observe"}

// mayUseRooms are the leaves that stand between the rooms and the mesh, with the reason.
var mayUseRooms = map[string][]string{
	"internal/compile": {"route"}, // it builds a router for each virtual host
	"internal/analyze": {"route"}, // it asks which routes cover which
}

func roomOf(path string) string {
	for _, r := range rooms {
		if path == r || strings.HasPrefix(path, r+"/") {
			return r
		}
	}
	return ""
}

// TestRoomsStandAlone: rooms import neither one another nor the mesh, and leaves know no room.
func TestRoomsStandAlone(t *testing.T) {
	found := map[string]bool{}
	for _, p := range packages(t) {
		path, _ := p.room()
		room := roomOf(path)
		found[room] = true
		for _, imported := range p.Imports {
			to, ok := within(imported)
			if !ok {
				continue
			}
			other := roomOf(to)
			switch {
			case room != "" && other != "" && room != other:
				t.Errorf("%s imports %s: rooms do not know one another", path, to)
			case (room != "" || strings.HasPrefix(path, "internal/")) && (to == "mesh" || strings.HasPrefix(to, "mesh/")):
				t.Errorf("%s imports %s: nothing below the front door knows it", path, to)
			case strings.HasPrefix(path, "internal/") && other != "" && !slices.Contains(mayUseRooms[path], other):
				t.Errorf("%s imports %s: leaves know no room", path, to)
			case strings.HasPrefix(to, "cmd/") || strings.HasPrefix(to, "examples/"):
				t.Errorf("%s imports %s: nothing stands on a command", path, to)
			case to == "mesh/meshtest" && !strings.HasPrefix(path, "examples/"):
				t.Errorf("%s imports %s: fakes are for tests", path, to)
			}
		}
	}
	for _, r := range rooms {
		if !found[r] {
			t.Errorf("no package %s", r)
		}
	}
}
