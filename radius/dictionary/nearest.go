package dictionary

import (
	"cmp"
	"slices"
	"strings"
)

// maxNear is the longest name that others are compared with.
const maxNear = 64

// nearest returns the name that was probably meant: the same but for punctuation, one with the
// vendor before it or that goes on, one it is short for, or one with few letters that differ; ""
// when there is none.
func nearest(written string, known []string) string {
	if written == "" || len(written) > maxNear {
		return ""
	}
	known = slices.Clone(known)
	slices.SortFunc(known, func(a, b string) int { return cmp.Or(len(a)-len(b), strings.Compare(a, b)) })
	plain := strings.NewReplacer("-", "", "_", "", " ", "")
	low := strings.ToLower(written)
	bare := plain.Replace(low)
	best, least := "", max(2, len(bare)/4)+1
	part := ""
	for _, k := range known {
		other := strings.ToLower(k)
		switch {
		case plain.Replace(other) == bare:
			return k
		case part == "" && (strings.HasSuffix(other, "-"+low) || strings.HasPrefix(other, low+"-") || abbreviates(low, other)):
			part = k
		}
		if len(k) > maxNear {
			continue
		}
		if d := distance(low, other); d < least && d < len(bare) {
			best, least = k, d
		}
	}
	return cmp.Or(part, best)
}

// abbreviates reports whether every word of a begins the same word of b, such as admin-user for
// administrative-user.
func abbreviates(a, b string) bool {
	if strings.Count(a, "-") != strings.Count(b, "-") {
		return false
	}
	for {
		first, a2, more := strings.Cut(a, "-")
		whole, b2, _ := strings.Cut(b, "-")
		if first == "" || !strings.HasPrefix(whole, first) {
			return false
		}
		if !more {
			return true
		}
		a, b = a2, b2
	}
}

// distance is how many letters have to be added, removed or changed to make b of a.
func distance(a, b string) int {
	last, row := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j+1]+1, row[j]+1, last[j]+cost)
		}
		last, row = row, last
	}
	return last[len(b)]
}
