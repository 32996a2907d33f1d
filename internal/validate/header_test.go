package validate

import "testing"

func TestHeaderValue(t *testing.T) {
	for _, tc := range []struct {
		name, value string
		fine        bool
	}{
		{"empty", "", true},
		{"plain", "abc", true},
		{"tab", "a\tb", true},
		{"newline", "a\nb", false},
		{"delete", "a\x7f", false},
		{"not ASCII", "é", true},
		{"doubled", "100%%", true},
		{"command", "%HOSTNAME%", true},
		{"command within text", "a %HOSTNAME% b", true},
		{"two commands", "%A%%B%", true},
		{"command and doubled", "%A%%%", true},
		{"alone", "%", false},
		{"unclosed", "abc%123", false},
		{"odd", "%START_TIME%%", false},
		{"argument", "%REQ(x-a)%", true},
		{"argument with choice", "%REQ(:path?x:y)%", true},
		{"no argument", "%REQ()%", false},
		{"blank argument", "%REQ( )%", false},
		{"argument unclosed", "%REQ(x-a%", false},
		{"nothing after argument", "%REQ(x-a)", false},
		{"blanks after argument", "%REQ(x-a)  %", true},
		{"text after argument", "%REQ(x-a)b%", false},
		{"list", `%UPSTREAM_METADATA(["a", "b"])%`, true},
		{"list with blanks", `%UPSTREAM_METADATA( [ "a" , "b" ] )%`, true},
		{"list unclosed", `%UPSTREAM_METADATA(["a", "b")%`, false},
		{"list without quotes", `%UPSTREAM_METADATA([a])%`, false},
		{"list without comma", `%UPSTREAM_METADATA(["a" "b"])%`, false},
		{"list and more", `%UPSTREAM_METADATA(["a"]x)%`, false},
		{"quote in list", `%UPSTREAM_METADATA(["a\"b"])%`, true},
		{"parenthesis escaped", `%REQ(a\)b)%`, true},
		{"backslash at the end", `%REQ(a\`, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := headerValueProblem(tc.value); (got == "") != tc.fine {
				t.Errorf("%q: got %q, want fine %v", tc.value, got, tc.fine)
			}
		})
	}
}

func FuzzHeaderValue(f *testing.F) {
	f.Add(`%UPSTREAM_METADATA( [ "a" , "b" ] )%%% %A%`)
	f.Fuzz(func(t *testing.T, s string) {
		// What is doubled is always fine, unless it has control characters.
		problem := headerValueProblem(s)
		if doubled := headerValueProblem(s + "%%"); problem == "" && doubled != "" {
			t.Errorf("%q: got %q with %%%% behind it, want none", s, doubled)
		}
	})
}
