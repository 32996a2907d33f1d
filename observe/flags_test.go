package observe_test

import (
	"strings"
	"testing"

	"github.com/go-inmesh/inmesh/observe"
)

func TestFlags(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"none", "", "-"},
		{"none, as Envoy writes it", "-", "-"},
		{"one", "UH", "UH"},
		{"two", "UF,URX", "UF,URX"},
		{"in Envoy's order", "URX,UF,DI", "UF,DI,URX"},
		{"twice", "DC,DC", "DC"},
		{"unknown", "XX,UT,", "UT"},
		{"last", "DO", "DO"},
		{"all", "LH,UH,UT,LR,UR,UF,UC,UO,NR,DI,FI,RL,UAEX,RLSE,DC,URX,SI,IH,DPE,UMSDR,RFCF,NFCF,DT,UPE,NC,OM,DF,DO",
			"LH,UH,UT,LR,UR,UF,UC,UO,NR,DI,FI,RL,UAEX,RLSE,DC,URX,SI,IH,DPE,UMSDR,RFCF,NFCF,DT,UPE,NC,OM,DF,DO"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := observe.ParseFlags(tt.in).String(); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	if got := observe.ParseFlags("NC"); got != observe.FlagNC {
		t.Errorf("got %v, want FlagNC", got)
	}
	if n := testing.AllocsPerRun(100, func() { _ = observe.ParseFlags("UF,URX") }); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}

func FuzzParseFlags(f *testing.F) {
	f.Add("UF,URX")
	f.Fuzz(func(t *testing.T, s string) {
		flags := observe.ParseFlags(s)
		if again := observe.ParseFlags(flags.String()); again != flags {
			t.Errorf("got %v, want %v again", again, flags)
		}
		if strings.Contains(flags.String(), ",,") {
			t.Errorf("got %q", flags)
		}
	})
}
