package rule

import (
	"time"

	"github.com/go-inmesh/inmesh/internal/finding"
	"github.com/go-inmesh/inmesh/internal/rule/tree"
)

// metaFields are the fields of an object's metadata that Kubernetes has; most of them say nothing to us.
// See https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/object-meta/.
func metaFields() []string {
	return []string{
		"name", "namespace", "labels", "annotations", "creationTimestamp", "generateName", "uid", "resourceVersion",
		"generation", "managedFields", "ownerReferences", "finalizers", "selfLink", "deletionTimestamp",
		"deletionGracePeriodSeconds", "clusterName", "initializers",
	}
}

// metadata reads name, namespace, labels, annotations and creation time.
func (o *Object) metadata(root *tree.Node, faults *tree.Faults) {
	o.Namespace = "default"
	meta := root.Find("metadata")
	if meta == nil || meta.Value.Kind == tree.Null {
		faults.Errorf(root, "metadata", finding.CodeInvalid, "absent, expected a name")
		return
	}
	if meta.Value.Kind != tree.Map {
		faults.Errorf(&meta.Value, "metadata", finding.CodeType, "%s, expected a mapping", meta.Value.Describe())
		return
	}
	d := decoder{faults: faults}
	for i := range meta.Value.Kids {
		k := &meta.Value.Kids[i]
		d.path = append(d.path[:0], step{name: "metadata"}, step{name: k.Key})
		d.meta(o, k)
	}
	if o.Name == "" {
		faults.KeyErrorf(meta, "metadata.name", finding.CodeInvalid, "empty, expected a name")
	}
}

func (d *decoder) meta(o *Object, k *tree.Kid) {
	n := &k.Value
	switch k.Key {
	case "name":
		o.Name = d.text(n)
	case "namespace":
		if s := d.text(n); s != "" {
			o.Namespace = s
		}
	case "labels":
		o.Labels = d.texts(n)
	case "annotations":
		o.Annotations = d.texts(n)
	case "creationTimestamp":
		if s := d.text(n); s != "" {
			t, err := time.Parse(time.RFC3339, s)
			if err != nil {
				d.faults.Errorf(n, d.where(), finding.CodeType, "%q, expected a time such as 2026-01-31T15:04:05Z", s)
			}
			o.CreationTimestamp = t
		}
	case "generateName", "uid", "resourceVersion", "generation", "managedFields", "ownerReferences", "finalizers",
		"selfLink", "deletionTimestamp", "deletionGracePeriodSeconds", "clusterName", "initializers":
	default:
		d.faults.KeyErrorf(k, d.where(), finding.CodeUnknownField, "unknown field %q%s", k.Key, suggest(k.Key, metaFields()))
	}
}

// text is a string; null counts as empty.
func (d *decoder) text(n *tree.Node) string {
	switch n.Kind {
	case tree.String:
		return n.Text
	case tree.Null:
		return ""
	}
	d.notString(n)
	return ""
}

// texts is a mapping of strings; nil where it is empty.
func (d *decoder) texts(n *tree.Node) map[string]string {
	if n.Kind == tree.Null {
		return nil
	}
	if n.Kind != tree.Map {
		d.expected(n, "a mapping")
		return nil
	}
	if len(n.Kids) == 0 {
		return nil
	}
	m := make(map[string]string, len(n.Kids))
	for i := range n.Kids {
		k := &n.Kids[i]
		d.push(step{name: k.Key, key: true})
		m[k.Key] = d.text(&k.Value)
		d.pop()
	}
	return m
}
