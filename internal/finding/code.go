package finding

// Codes of our own, for what Istio's analyzers have no code for. They never change their meaning.
// The list is printed into docs/findings.md.
const (
	CodeSyntax       = "MESH0001" // not YAML or JSON, a document too large, an alias bomb
	CodeInvalid      = "MESH0002" // a field that Istio's admission rejects
	CodeUnknownField = "MESH0003" // a field that the kind does not have
	CodeDuplicateKey = "MESH0004" // a key that stands twice in one mapping
	CodeType         = "MESH0005" // a value of the wrong type
	CodeUnknownKind  = "MESH0006" // a kind or apiVersion that Istio does not have
	CodeUnused       = "MESH0007" // a kind that is not read, such as Deployment
	CodeLegacy       = "MESH0008" // a form of an earlier Istio, with its modern form
	CodeNotObeyed    = "MESH0009" // a valid field or kind that this version does not act on
	CodeRefused      = "MESH0010" // a valid field or kind that this version refuses
	CodeReplaced     = "MESH0011" // an object that a later one of the same name replaces
	CodeUnreadable   = "MESH0012" // a file or folder that cannot be read
	CodeEmpty        = "MESH0013" // no object in all that was given
	CodeEjection     = "MESH0014" // a maxEjectionPercent that can never eject
	CodeRetryUnsafe  = "MESH0015" // a route that retries POST or PATCH on answers
	CodeFailover     = "MESH0016" // locality failover without outlierDetection
	CodeUndeclared   = "MESH0017" // a destination host that no object declares
	CodeSuspicious   = "MESH0018" // valid, and hardly what was meant
	CodeConflict     = "MESH0019" // a part of an object that an older object for the same thing takes the place of
	CodeMore         = "MESH0020" // how many findings were left out, where a file has more than a thousand
)
