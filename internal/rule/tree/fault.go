package tree

import (
	"fmt"

	"github.com/go-inmesh/inmesh/internal/finding"
)

// Fault is a fault with its place. Its path begins at the object's root: "spec.http[0]".
type Fault struct {
	finding.Fault
	Line, Column int32
}

// Faults collects the faults of one object. The zero value is ready to use.
type Faults []Fault

// Errorf adds an error at a value.
func (fs *Faults) Errorf(n *Node, path, code, format string, args ...any) {
	fs.add(n.Line, n.Column, finding.Error, path, code, format, args)
}

// KeyErrorf adds an error at an entry's key.
func (fs *Faults) KeyErrorf(k *Kid, path, code, format string, args ...any) {
	fs.add(k.Line, k.Column, finding.Error, path, code, format, args)
}

// KeyWarnf adds a warning at an entry's key.
func (fs *Faults) KeyWarnf(k *Kid, path, code, format string, args ...any) {
	fs.add(k.Line, k.Column, finding.Warning, path, code, format, args)
}

// most bounds the faults of one object: one more than are shown of a file, so that it shows that there are more.
const most = 1001

func (fs *Faults) add(line, column int32, s finding.Severity, path, code, format string, args []any) {
	if len(*fs) == most {
		if last := &(*fs)[most-1]; s != finding.Error || last.Severity == finding.Error {
			return
		}
		*fs = (*fs)[:most-1] // an error is not to be lost among warnings
	}
	*fs = append(*fs, Fault{
		finding.Fault{Path: path, Severity: s, Code: code, Message: fmt.Sprintf(format, args...)}, line, column,
	})
}
