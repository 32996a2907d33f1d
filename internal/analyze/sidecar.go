package analyze

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/kube"
	"github.com/go-inmesh/inmesh/internal/registry"
	"github.com/go-inmesh/inmesh/internal/rule"
)

type sidecar = rule.Typed[*networking.Sidecar]

// sidecars looks for workloads that several Sidecars are for. The oldest wins, those with a selector before the others.
func (a *analysis) sidecars() {
	all := rule.All[*networking.Sidecar](a.set)
	slices.SortStableFunc(all, func(x, y sidecar) int { return rule.Older(x.Object, y.Object) })
	whole := map[string]sidecar{} // the oldest without a selector, by namespace
	selecting := map[string][]sidecar{}
	for _, s := range all {
		if len(s.Spec.WorkloadSelector.GetLabels()) > 0 {
			selecting[s.Namespace] = append(selecting[s.Namespace], s)
			continue
		}
		if winner, ok := whole[s.Namespace]; ok {
			a.errorf(s.Object, "", codeSidecars, "not used: %s, which is older, has no selector either and is for the whole namespace", where(winner.Object))
			continue
		}
		whole[s.Namespace] = s
	}
	for _, ns := range slices.Sorted(maps.Keys(selecting)) {
		same := map[string]sidecar{}
		for _, s := range selecting[ns] {
			k := labelsKey(s.Spec.WorkloadSelector.Labels)
			if older, ok := same[k]; ok {
				a.errorf(s.Object, "workloadSelector", codeSelectors, "not used: %s, which is older, has the same selector", where(older.Object))
				continue
			}
			same[k] = s
		}
	}
	a.selectedTwice(selecting)
}

func labelsKey(labels map[string]string) string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		fmt.Fprintf(&b, "%q=%q,", k, labels[k])
	}
	return b.String()
}

// selectedTwice looks at the workloads that are known, for those that several Sidecars select.
func (a *analysis) selectedTwice(selecting map[string][]sidecar) {
	type label struct{ namespace, key, value string }
	by := map[label][]int{} // places in the list of the namespace, by one of the selector's labels
	for ns, list := range selecting {
		if len(list) < 2 {
			continue
		}
		for i, s := range list {
			k := slices.Min(slices.Collect(maps.Keys(s.Spec.WorkloadSelector.Labels)))
			at := label{ns, k, s.Spec.WorkloadSelector.Labels[k]}
			by[at] = append(by[at], i)
		}
	}
	if len(by) == 0 {
		return
	}
	look := func(o *rule.Object, labels map[string]string) {
		list := selecting[o.Namespace]
		var found []int
		for k, v := range labels {
			for _, i := range by[label{o.Namespace, k, v}] {
				if registry.Carries(labels, list[i].Spec.WorkloadSelector.Labels) {
					found = append(found, i)
				}
			}
		}
		slices.Sort(found)
		for n, i := range found {
			if n > 0 {
				a.errorf(list[i].Object, "workloadSelector", codeSelectors, "not used for %s: %s, which is older, selects it too", o, where(list[found[0]].Object))
			}
		}
	}
	for _, o := range a.set.Objects() {
		switch spec := o.Spec.(type) {
		case *kube.Pod:
			look(o, o.Labels)
		case *networking.WorkloadEntry:
			labels := maps.Clone(spec.Labels)
			if labels == nil {
				labels = map[string]string{}
			}
			maps.Copy(labels, o.Labels)
			look(o, labels)
		}
	}
}
