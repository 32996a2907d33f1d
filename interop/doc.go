// Package interop proves that calls of connect-go, unary and streaming, over Connect, gRPC and gRPC-Web, pass the mesh and
// obey its rules. It has tests alone, and is a module of its own so that the core need not link connect-go.
package interop
