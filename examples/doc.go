// Package examples holds small programs, each a page, that show one thing each. Its tests run them.
package examples
