// Command inmesh checks rules, explains what they do with a request, and runs a gateway that obeys them.
//
//	inmesh check   [-o text|json] PATH...
//	inmesh explain [-o text|json] -f PATH... [-X METHOD] [-H 'K: V']... [-namespace NS] [-labels k=v,...] [-gateway NS/NAME] URL
//	inmesh run     -f PATH... [-listen :8080] [-gateway NAME] [-debug 127.0.0.1:15000] [-watch]
//
// The exit code is 0 where all is well, 1 where the rules have a finding of severity error, and 2 for wrong
// usage or input that cannot be read.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
)

// The exit codes.
const (
	exitOK      = 0
	exitInvalid = 1
	exitUsage   = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	code := execute(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

const usage = `usage: inmesh COMMAND

  check    says what is wrong with rules
  explain  says what rules make of a request; nothing is sent
  run      is an ingress gateway that obeys the rules
  version  says which version this is

inmesh COMMAND -h tells more.
`

// execute runs one command and returns the exit code.
func execute(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		_, _ = io.WriteString(stderr, usage)
		return exitUsage
	}
	switch args[0] {
	case "check":
		return check(args[1:], stdout, stderr)
	case "explain":
		return explain(args[1:], stdout, stderr)
	case "run":
		return run(ctx, args[1:], stdout, stderr)
	case "version", "-version", "--version":
		fmt.Fprintln(stdout, version())
		return exitOK
	case "help", "-h", "-help", "--help":
		_, _ = io.WriteString(stdout, usage)
		return exitOK
	}
	fmt.Fprintf(stderr, "inmesh: unknown command %q\n\n%s", args[0], usage)
	return exitUsage
}

// version is the module's, as the build recorded it.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return "inmesh " + info.Main.Version
	}
	return "inmesh (devel)"
}

// newFlags makes a command's flags; help lists them under the synopsis.
func newFlags(name, synopsis string, stderr io.Writer) *flag.FlagSet {
	fs := flag.NewFlagSet("inmesh "+name, flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.Usage = func() {
		fmt.Fprintf(stderr, "usage: inmesh %s %s\n\n", name, synopsis)
		fs.PrintDefaults()
	}
	return fs
}

// parse reads flags before, between and after the arguments; after "--" there are arguments alone. Help is asked for
// with -h; it is no fault.
func parse(fs *flag.FlagSet, args []string) (rest []string, code int, ok bool) {
	for {
		if err := fs.Parse(args); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				return nil, exitOK, false
			}
			return nil, exitUsage, false
		}
		if read := len(args) - fs.NArg(); fs.NArg() == 0 || read > 0 && args[read-1] == "--" {
			return append(rest, fs.Args()...), exitOK, true
		}
		rest, args = append(rest, fs.Arg(0)), fs.Args()[1:]
	}
}

// list is a flag that may be given several times.
type list []string

func (l *list) String() string { return strings.Join(*l, ",") }

// Set adds one value.
func (l *list) Set(v string) error {
	*l = append(*l, v)
	return nil
}

// format is the flag -o.
type format string

func (f *format) String() string { return string(*f) }

// Set takes text or json.
func (f *format) Set(v string) error {
	if v != "text" && v != "json" {
		return errors.New("want text or json")
	}
	*f = format(v)
	return nil
}
