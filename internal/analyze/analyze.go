// Package analyze looks at all objects together and finds what none of them shows alone: references that lead
// nowhere, rules that can never act, policies that contradict each other, and fields that are not obeyed.
//
// It asks what would come of the rules wherever they are used, so it does not depend on who the workload is.
package analyze

import (
	"fmt"
	"strings"

	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/finding"
	"github.com/go-inmesh/inmesh/internal/host"
	"github.com/go-inmesh/inmesh/internal/registry"
	"github.com/go-inmesh/inmesh/internal/rule"
)

// Codes of Istio's analyzers for what is found here.
// See https://istio.io/latest/docs/reference/config/analysis/.
const (
	codeUnresolved  = "IST0101" // a reference to what is not there
	codeDuplicate   = "IST0109" // two VirtualServices for one host of the mesh
	codeSelectors   = "IST0110" // two Sidecars that select the same workload
	codeSidecars    = "IST0111" // two Sidecars without a selector in one namespace
	codePort        = "IST0112" // a destination without a port, of a service with several
	codeNoWorkloads = "IST0127" // a selector that selects nothing
	codeUnreachable = "IST0130" // a route that no request reaches
	codeIneffective = "IST0131" // a match that an earlier one covers
	codeNotInside   = "IST0132" // a host of a VirtualService that its gateway lacks
	codeNoSubset    = "IST0173" // a subset that selects no endpoint
	codeUnknownHost = "IST0174" // a DestinationRule for a host that is not there
	codeProtocols   = "IST0177" // two ServiceEntries that differ about a port
)

// Set is all findings about the set as a whole, sorted. The domain of Kubernetes services does not matter.
func Set(set *rule.Set) []finding.Finding {
	if set == nil {
		return nil
	}
	a := newAnalysis(set)
	a.notObeyed()
	a.virtualServices()
	a.destinationRules()
	a.gateways()
	a.ingresses()
	a.sidecars()
	a.serviceEntries()
	a.serviceSelectors()
	finding.Sort(a.findings)
	return a.findings
}

// analysis is the state of one run.
type analysis struct {
	set      *rule.Set
	registry *registry.Registry
	findings []finding.Finding
	said     map[place]bool

	rules     []*virtualService
	delegates map[string]*virtualService // without hosts, by "namespace/name"
	roots     map[string]*virtualService // with hosts
	edge      map[string]*gateway        // by "namespace/name"
	edgeNames map[string]string          // name to "namespace/name"
	policies  policies
	services  map[string][]*registry.Service // by hostname, aliases included
	hostnames []string                       // parallel to the registry's services, with the default domain
	wildcards host.Table[[]*registry.Service]
}

// place is what a finding is about. Nothing is said twice of one.
type place struct {
	object     *rule.Object
	path, code string
}

func newAnalysis(set *rule.Set) *analysis {
	a := &analysis{
		set: set, said: map[place]bool{}, delegates: map[string]*virtualService{}, roots: map[string]*virtualService{},
		edge: map[string]*gateway{}, edgeNames: map[string]string{}, services: map[string][]*registry.Service{},
	}
	a.registry, a.findings = registry.Build(set, host.DefaultDomain)
	for _, s := range a.registry.Services() {
		a.hostnames = append(a.hostnames, domainless(s.Hostname))
		for _, h := range append([]string{s.Hostname}, s.Aliases...) {
			if h = domainless(h); host.IsWildcard(h) {
				list, _ := a.wildcards.Get(h)
				a.wildcards.Set(h, append(list, s))
			} else {
				a.services[h] = append(a.services[h], s)
			}
		}
	}
	for _, t := range rule.All[*networking.Gateway](set) {
		a.edge[t.Ref()] = newGateway(t)
		if a.edgeNames[t.Name] == "" {
			a.edgeNames[t.Name] = t.Ref()
		}
	}
	for _, t := range rule.All[*networking.VirtualService](set) {
		v := newVirtualService(t)
		a.rules = append(a.rules, v)
		if v.delegate() {
			a.delegates[v.Ref()] = v
		} else {
			a.roots[v.Ref()] = v
		}
	}
	a.policies = newPolicies(set)
	return a
}

// resolve completes a name as a rule in the namespace means it.
func resolve(name, namespace string) string { return domainless(host.Resolve(name, namespace, "")) }

// domainless gives every Kubernetes name the default domain: which one the mesh has is not known here.
func domainless(name string) string {
	i := strings.Index(name, ".svc.")
	if i < 0 || strings.Count(name[:i], ".") != 1 {
		return name
	}
	return name[:i] + ".svc." + host.DefaultDomain
}

// say adds a finding, once for each place and code.
func (a *analysis) say(o *rule.Object, s finding.Severity, path, code, format string, args ...any) {
	at := place{o, path, code}
	if a.said[at] {
		return
	}
	a.said[at] = true
	a.findings = append(a.findings, o.Finding(finding.Fault{Path: path, Severity: s, Code: code, Message: fmt.Sprintf(format, args...)}))
}

func (a *analysis) warn(o *rule.Object, path, code, format string, args ...any) {
	a.say(o, finding.Warning, path, code, format, args...)
}

func (a *analysis) errorf(o *rule.Object, path, code, format string, args ...any) {
	a.say(o, finding.Error, path, code, format, args...)
}

// where names an object, with its place if it has one: `VirtualService default/a (a.yaml:3:1)`.
func where(o *rule.Object) string {
	if p := o.Position.String(); p != "" {
		return o.String() + " (" + p + ")"
	}
	return o.String()
}
