package observe

import "strings"

// Flags is a set of Envoy's response flags. The zero value is none, written "-".
//
// See https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage (response flags).
type Flags uint32

// The flags, in the order in which Envoy declares them, which is also how several are written.
const (
	FlagLH    Flags = 1 << iota // failed local health check
	FlagUH                      // no healthy upstream
	FlagUT                      // upstream timeout
	FlagLR                      // local reset
	FlagUR                      // upstream reset
	FlagUF                      // connection to upstream failed
	FlagUC                      // upstream closed the connection
	FlagUO                      // overflow
	FlagNR                      // no route
	FlagDI                      // delay injected
	FlagFI                      // fault injected
	FlagRL                      // rate limited
	FlagUAEX                    // denied by external authorization
	FlagRLSE                    // rate limit service failed
	FlagDC                      // downstream left
	FlagURX                     // retries exhausted
	FlagSI                      // stream idle for too long
	FlagIH                      // invalid x-envoy header
	FlagDPE                     // downstream broke the protocol
	FlagUMSDR                   // longest stream duration reached
	FlagRFCF                    // answered from a cache
	FlagNFCF                    // no filter configuration
	FlagDT                      // duration timeout
	FlagUPE                     // upstream broke the protocol
	FlagNC                      // no such cluster
	FlagOM                      // overload manager
	FlagDF                      // DNS failed
	FlagDO                      // dropped for overload
	flagEnd
)

var flagNames = [...]string{"LH", "UH", "UT", "LR", "UR", "UF", "UC", "UO", "NR", "DI", "FI", "RL", "UAEX", "RLSE",
	"DC", "URX", "SI", "IH", "DPE", "UMSDR", "RFCF", "NFCF", "DT", "UPE", "NC", "OM", "DF", "DO"}

// ParseFlags reads flags as Envoy writes them, "UF,URX". Names that it does not know are left out. It does
// not allocate.
func ParseFlags(s string) Flags {
	var f Flags
	for s != "" {
		name, rest, _ := strings.Cut(s, ",")
		for i, known := range flagNames {
			if name == known {
				f |= 1 << i
			}
		}
		s = rest
	}
	return f
}

// String writes the flags as Envoy does: short names joined with a comma, "-" for none.
func (f Flags) String() string {
	f &= flagEnd - 1
	if f == 0 {
		return "-"
	}
	s := ""
	for i, name := range flagNames {
		switch {
		case f&(1<<i) == 0:
		case f == 1<<i:
			return name
		case s == "":
			s = name
		default:
			s += "," + name
		}
	}
	return s
}
