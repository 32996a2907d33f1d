//go:build !unix

package mesh

import "os"

// inode is unknown on this system; size and time tell files apart.
func inode(os.FileInfo) uint64 { return 0 }
