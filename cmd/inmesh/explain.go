package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"

	"github.com/go-inmesh/inmesh/mesh"
)

// explain prints what the rules make of one request.
func explain(args []string, stdout, stderr io.Writer) int {
	fs := newFlags("explain", "[-o text|json] -f PATH... [-X METHOD] [-H 'K: V']... [-namespace NS] [-labels k=v,...] [-gateway NS/NAME] URL", stderr)
	out := format("text")
	var paths, headers list
	fs.Var(&out, "o", "`format`: text or json")
	fs.Var(&paths, "f", "file or folder of rules; may be given several times")
	fs.Var(&headers, "H", "request `header`, as 'name: value'; may be given several times")
	method := fs.String("X", http.MethodGet, "`method` of the request")
	namespace := fs.String("namespace", "default", "the caller's namespace")
	labels := fs.String("labels", "", "the caller's labels, as k=v,k=v")
	gateway := fs.String("gateway", "", "explain what the gateway `namespace/name` does, in place of a client")
	registryOnly := fs.Bool("registry-only", false, "refuse hosts that nothing names (outboundTrafficPolicy REGISTRY_ONLY)")
	rest, code, ok := parse(fs, args)
	if !ok {
		return code
	}
	if len(rest) != 1 || len(paths) == 0 {
		fs.Usage()
		return exitUsage
	}
	req, err := request(*method, rest[0], headers)
	if err != nil {
		fmt.Fprintln(stderr, "inmesh:", err)
		return exitUsage
	}
	caller, err := parseLabels(*labels)
	if err != nil {
		fmt.Fprintln(stderr, "inmesh:", err)
		return exitUsage
	}
	rules, code := load(paths, stderr)
	if rules == nil {
		return code
	}
	m, err := mesh.New(rules, &mesh.Options{
		Workload:     mesh.Workload{Name: "inmesh", Namespace: *namespace, Labels: caller},
		RegistryOnly: *registryOnly,
		Logger:       slog.New(slog.DiscardHandler),
	})
	if err != nil {
		fmt.Fprintln(stderr, "inmesh:", err)
		return exitInvalid
	}
	defer func() { _ = m.Close() }()
	var e *mesh.Explanation
	if *gateway != "" {
		e, err = m.ExplainGateway(*gateway, req)
	} else {
		e, err = m.Explain(req)
	}
	if err != nil {
		fmt.Fprintln(stderr, "inmesh:", err)
		return exitUsage
	}
	if out == "json" {
		enc := json.NewEncoder(stdout)
		enc.SetEscapeHTML(false)
		_ = enc.Encode(e)
	} else {
		_, _ = io.WriteString(stdout, e.String())
	}
	return exitOK
}

// load reads rules; what is wrong with them goes to stderr.
func load(paths []string, stderr io.Writer) (*mesh.Rules, int) {
	rules, err := mesh.Load(paths...)
	var invalid *mesh.InvalidError
	switch {
	case errors.As(err, &invalid):
		printFindings(stderr, invalid.Findings, "text")
		if unreadable(invalid.Findings) {
			return nil, exitUsage
		}
		return nil, exitInvalid
	case err != nil:
		fmt.Fprintln(stderr, "inmesh:", err)
		return nil, exitUsage
	}
	return rules, exitOK
}

// request builds the request to be explained. A URL without a scheme is http.
func request(method, url string, headers []string) (*http.Request, error) {
	if i := strings.IndexAny(url, "/?#"); i < 1 || !strings.HasPrefix(url[i-1:], "://") {
		url = "http://" + url
	}
	req, err := http.NewRequest(strings.ToUpper(method), url, nil)
	if err != nil {
		return nil, err
	}
	if req.URL.Host == "" {
		return nil, fmt.Errorf("%s: the URL has no host", url)
	}
	for _, h := range headers {
		k, v, ok := strings.Cut(h, ":")
		k, v = strings.TrimSpace(k), strings.TrimSpace(v)
		switch {
		case !ok || k == "":
			return nil, fmt.Errorf("header %q: want 'name: value'", h)
		case strings.EqualFold(k, "host"):
			req.Host = v
		default:
			req.Header.Add(k, v)
		}
	}
	return req, nil
}

// parseLabels reads the flag -labels.
func parseLabels(s string) (map[string]string, error) {
	labels := map[string]string{}
	if s == "" {
		return labels, nil
	}
	for kv := range strings.SplitSeq(s, ",") {
		k, v, ok := strings.Cut(strings.TrimSpace(kv), "=")
		if !ok || k == "" {
			return nil, fmt.Errorf("label %q: want name=value", kv)
		}
		labels[k] = v
	}
	return labels, nil
}
