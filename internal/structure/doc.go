// Package structure holds, as tests, what must stay true of the source as a whole: who may import whom, which modules are
// linked, what is documented, how long a file may be. It has no code of its own.
package structure
