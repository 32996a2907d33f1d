package compare

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// paths are the places of all fields and items of a tree, the outer ones first.
func paths(v any, at string, depth int) []string {
	var out []string
	switch v := v.(type) {
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			out = append(out, at+"\x00"+k)
		}
		for _, k := range slices.Sorted(maps.Keys(v)) {
			out = append(out, paths(v[k], at+"\x00"+k, depth+1)...)
		}
	case []any:
		for i := range v {
			out = append(out, at+"\x00"+strconv.Itoa(i))
		}
		for i := range v {
			out = append(out, paths(v[i], at+"\x00"+strconv.Itoa(i), depth+1)...)
		}
	}
	return out
}

// cut takes the field or item at a path away. A list becomes another one: put takes it.
func cut(v any, path string, put func(any)) {
	key, rest, more := strings.Cut(path[1:], "\x00")
	if more {
		rest = "\x00" + rest
	}
	switch v := v.(type) {
	case map[string]any:
		if !more {
			delete(v, key)
			return
		}
		cut(v[key], rest, func(x any) { v[key] = x })
	case []any:
		i, _ := strconv.Atoi(key)
		if !more {
			put(slices.Delete(slices.Clone(v), i, i+1))
			return
		}
		cut(v[i], rest, func(x any) { v[i] = x })
	}
}
