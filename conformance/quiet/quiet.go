// Package quiet keeps Istio's test environment from printing warnings when it starts: it looks for folders that only
// Istio's own checkout has. The path of this package sorts before istio.io, so it is initialised first.
package quiet

import "os"

func init() {
	for _, k := range []string{"TARGET_OUT", "LOCAL_OUT"} {
		if os.Getenv(k) == "" {
			_ = os.Setenv(k, os.TempDir())
		}
	}
}
