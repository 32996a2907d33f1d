package istio

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"

	"github.com/hashicorp/go-multierror"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"

	"istio.io/istio/pilot/pkg/config/kube/crd"
	crdvalidation "istio.io/istio/pkg/config/crd"
	"istio.io/istio/pkg/config/schema/collections"
	"istio.io/istio/pkg/config/schema/resource"

	"github.com/go-inmesh/inmesh/conformance/world"
)

// Verdict is what Istio says of a document. A user sees it accepted only if all three accept it: the strict decoding
// into Istio's API type, the admission webhook, and the CRD's schema with its CEL rules.
type Verdict struct {
	Known    bool // a kind of Istio's own
	Parse    string
	Webhook  []string
	CRD      string
	Warnings []string
}

// Valid tells whether all three accept the document.
func (v *Verdict) Valid() bool { return v.Parse == "" && len(v.Webhook) == 0 && v.CRD == "" }

// String lists what is said.
func (v *Verdict) String() string {
	if v.Valid() {
		return fmt.Sprintf("valid, warnings %q", v.Warnings)
	}
	return fmt.Sprintf("parse %q, webhook %q, CRD %q", v.Parse, v.Webhook, v.CRD)
}

// schemas are the CRDs inside the istio module.
var schemas = sync.OnceValues(func() (*crdvalidation.Validator, error) {
	file := filepath.Join(Root(), "manifests/charts/base/files/crd-all.gen.yaml")
	v, err := crdvalidation.NewValidatorFromFilesWithOptions([]string{file}, crdvalidation.WithoutCRDValidation())
	if err == nil {
		v.SkipMissing = true
	}
	return v, err
})

// Validate judges one document.
func Validate(doc world.Object) (v Verdict) {
	silence()
	defer func() {
		if p := recover(); p != nil {
			v.Parse = fmt.Sprint("panic: ", p)
		}
	}()
	text := world.YAML(doc)
	// Not straight into a map: whole numbers must stay whole for the CEL rules.
	js, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		return Verdict{Known: world.IsIstio(doc), Parse: err.Error()}
	}
	u := map[string]any{}
	if err := utiljson.Unmarshal(js, &u); err != nil {
		return Verdict{Known: world.IsIstio(doc), Parse: err.Error()}
	}
	object := &unstructured.Unstructured{Object: u}
	gvk := object.GroupVersionKind()
	schema, ok := collections.All.FindByGroupVersionAliasesKind(resource.FromKubernetesGVK(&gvk))
	if !ok || !world.IsIstio(doc) {
		return v
	}
	v.Known = true
	crds, err := schemas()
	if err != nil {
		v.CRD = err.Error()
		return v
	}
	if err := crds.ValidateCustomResource(object.DeepCopy()); err != nil {
		v.CRD = err.Error()
	}
	var kind crd.IstioKind
	if err := yaml.UnmarshalStrict([]byte(text), &kind); err != nil {
		v.Parse = err.Error()
		return v
	}
	config, err := crd.ConvertObject(schema, &kind, "cluster.local")
	if err != nil {
		v.Parse = err.Error()
		return v
	}
	if config.Namespace == "" && !schema.IsClusterScoped() {
		config.Namespace = "default" // as kubectl apply fills in
	}
	warn, err := schema.ValidateConfig(*config)
	v.Warnings, v.Webhook = list(warn), list(err)
	return v
}

func list(err error) []string {
	if err == nil {
		return nil
	}
	var m *multierror.Error
	if errors.As(err, &m) {
		var out []string
		for _, e := range m.Errors {
			out = append(out, list(e)...)
		}
		return out
	}
	return []string{err.Error()}
}
